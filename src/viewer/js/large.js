// One work as large as the window: its rendition, the original where that is served and shows more, else the best that the
// pyramid holds.
//
// A modal dialog, so that keys and screen readers stay in it; arrows and swipes lead to the neighbouring works.
(function (m) {
  'use strict';

  const MORE = 1.15; // The original is loaded from this many device pixels per pixel of the rendition on.
  const LIGHT_BYTES = 4e6; // A heavier original is loaded only for a visitor who looks closer.
  const NO_BROWSER = /\.tiff?$/i; // Shown by hardly any browser.
  const byId = (id) => document.getElementById(id);

  /** The large view of `app`; `open()` shows the card's work, `isOpen()`. */
  m.createLarge = function (app) {
    const root = byId('large');
    const crop = byId('large-crop');
    const original = m.pictureIn(root, 'large-original');
    crop.after(original);
    original.draggable = false; // A drag moves it within the window.
    const large = { isOpen: () => root.open };
    let rendition = null;
    let url = null; // The original's, as long as it may be loaded.
    let light = false; // Whether it is small enough to be loaded unasked.

    /** Shows the work of the open card. */
    large.open = () => {
      const work = app.model && app.model.works[app.model.byId.get(app.card.id)];
      if (!work) return;
      app.need(['text', 'near'], [work.id], () => { if (root.open && app.card.id === work.id) large.open(); });
      byId('large-name').textContent = m.nameOf(work);
      app.thumbs.show(crop, work.id, Math.min(innerWidth, innerHeight, app.camera.cellPx * 2));
      [rendition, url] = [m.renditionOf(work), m.originalOf(app.model, work)];
      light = work.size <= LIGHT_BYTES;
      const shown = rendition ? rendition.file : url;
      original.classList.remove('here');
      original.removeAttribute('src');
      if (shown) original.src = shown;
      if (!rendition) url = null;
      original.alt = m.nameOf(work);
      if (!root.open) root.showModal();
      closer.reset();
    };

    /** Loads the original once the picture is shown at more pixels than its rendition has. */
    function sharpen(scale) {
      if (!root.open || !url || NO_BROWSER.test(url) || (scale === 1 && !light)) return;
      const fitted = Math.min(original.clientWidth / rendition.width, original.clientHeight / rendition.height);
      if (fitted * scale * app.camera.dpr < MORE) return;
      const wanted = url;
      url = null;
      const image = new Image();
      image.referrerPolicy = 'no-referrer';
      image.src = wanted;
      const file = rendition && rendition.file;
      image.decode().then(() => {
        if (root.open && original.getAttribute('src') === file) original.src = wanted;
      }, () => {}); // The rendition stays.
    }
    const closer = m.attachCloser(root, original, {
      tap: () => root.close(),
      swipe: (step) => walk(step),
      zoomed: sharpen,
      // To two screen pixels for each of its own.
      most: () => 2 * Math.max(original.naturalWidth / (original.clientWidth || 1), original.naturalHeight / (original.clientHeight || 1)),
    });
    byId('large-close').addEventListener('click', () => root.close());
    original.addEventListener('load', () => original.classList.add('here'));
    original.addEventListener('error', () => original.classList.remove('here'));
    root.addEventListener('close', () => {
      original.removeAttribute('src');
      closer.reset();
      app.thumbs.release(crop);
    });
    root.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step) {
        walk(step);
        event.preventDefault();
      } else if (event.key === '+' || event.key === '=') closer.zoom(1.6);
      else if (event.key === '-') closer.zoom(1 / 1.6);
      else if (event.key === '0') closer.reset();
      else if (event.key === 'Enter' || event.key === ' ') root.close();
      event.stopPropagation(); // The page's own keys rest meanwhile; Escape is the dialog's.
    });

    /** To the next or previous work in reading order. */
    function walk(step) {
      const { model } = app;
      const work = model.works[model.byId.get(app.card.id)];
      if (!work) return;
      const cells = model.cols * model.rows;
      for (let i = 1; i < cells; i += 1) {
        const at = (work.row * model.cols + work.col + step * i + cells * i) % cells;
        const index = model.indexAt(at % model.cols, Math.floor(at / model.cols));
        if (index >= 0) {
          app.open(model.works[index].id, { quiet: true });
          large.open();
          return;
        }
      }
    }

    return large;
  };
})(window.mosaicd = window.mosaicd || {});
