// Whether to draw coarser while the view moves: on screens of many pixels without a graphics processor, a sharp picture
// that stutters is worth less than a softer one that moves evenly. At rest every pixel is drawn again.
(function (m) {
  'use strict';

  const SLOW_MS = 34; // Frames further apart than this stutter visibly (fewer than 30 in a second).
  const JUDGED = 6; // Frames of motion that are measured before a decision.
  const KEPT_MS = 20000; // How long a decision holds before full detail is tried again.
  const REST_MS = 130; // Without motion for this long the view is at rest.

  /**
   * `measured(gap, now)` takes the time between two frames in motion; `share(dpr, moving, now)` is the share of pixels to draw,
   * `hurry(moving, now)` says to leave out what costs much and changes little.
   */
  m.createDetail = function () {
    let gaps = [];
    let slowUntil = -1;
    return {
      REST_MS,
      measured(gap, now) {
        if (now < slowUntil || gap <= 0 || gap > 1000) return;
        gaps.push(gap);
        if (gaps.length < JUDGED) return;
        const middle = gaps.sort((a, b) => a - b)[JUDGED >> 1];
        gaps = [];
        if (middle > SLOW_MS) slowUntil = now + KEPT_MS;
      },
      hurry: (moving, now) => moving && now < slowUntil,
      /** 1, or less while moving on a slow machine; never below one pixel drawn per CSS pixel. */
      share: (dpr, moving, now) => (moving && dpr > 1 && now < slowUntil ? Math.max(0.5, 1 / dpr) : 1),
    };
  };
})(window.mosaicd = window.mosaicd || {});
