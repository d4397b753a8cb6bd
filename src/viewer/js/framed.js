// The mosaic inside another page: `?embed` leaves only what a frame needs, and the page around keeps its wheel.
(function (m) {
  'use strict';

  m.embedded = new URLSearchParams(location.search).has('embed');

  /**
   * Whether a wheel event is the mosaic's: always, unless the page is in a frame. There the page around scrolls until the
   * mosaic is clicked, and again from a click elsewhere on; with Ctrl held the wheel zooms at once. `notify` says so once.
   */
  m.createFrameGuard = function (notify) {
    const root = document.documentElement;
    root.classList.toggle('embedded', m.embedded);
    if (window.parent === window) return () => true;
    let taken = false;
    let said = false;
    const take = (now) => { taken = now; root.classList.toggle('untaken', !now); };
    take(false);
    addEventListener('click', () => take(true), { capture: true });
    addEventListener('keydown', () => take(true), { capture: true });
    addEventListener('blur', () => take(false));
    return (event) => {
      if (taken || event.ctrlKey) return true;
      if (!said) notify(m.t('notice.wheel'));
      said = true;
      return false;
    };
  };
})(window.mosaicd = window.mosaicd || {});
