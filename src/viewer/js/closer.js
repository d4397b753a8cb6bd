// Fingers, mouse and wheel on one picture as large as the window: pinch and wheel zoom, a drag moves, a swipe leads on, a
// double tap zooms in and out again, a tap ends it.
//
// The picture is moved by a CSS transform alone; what it shows is the caller's.
(function (m) {
  'use strict';

  const SLOP_PX = 8;
  const SWIPE_PX = 48;
  const DOUBLE_MS = 260;
  const DOUBLE_ZOOM = 2.5;
  const LEAST_MOST = 4; // One may always zoom in this far.

  /**
   * Lets a visitor look closer at `picture` in `root`. `on.tap()`, `on.swipe(step)` (1: to the next), `on.zoomed(scale)`;
   * `on.most()` says how far one may zoom in. Gives `{reset(), zoom(factor)}`.
   */
  m.attachCloser = function (root, picture, on) {
    const down = new Map(); // pointer id → {x, y}
    let view = { scale: 1, x: 0, y: 0 }; // The offset is that of the picture's middle, CSS pixels.
    let start = null;
    let moved = false;
    let pinched = false;
    let tapTimer = 0;

    function show() {
      const most = Math.max(LEAST_MOST, on.most());
      view.scale = Math.min(Math.max(view.scale, 1), most);
      // At its own size it stays in the middle; enlarged, its edges stay out of the middle of the window.
      const reach = (view.scale - 1) / 2;
      const hold = (value, length) => Math.min(Math.max(value, -reach * length), reach * length);
      view.x = hold(view.x, root.clientWidth);
      view.y = hold(view.y, root.clientHeight);
      picture.style.transform = view.scale === 1 ? '' : `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
      root.classList.toggle('closer', view.scale > 1);
      on.zoomed(view.scale);
    }

    /** Zooms by a factor about a point of the window. */
    function zoomAt(x, y, factor) {
      const before = view.scale;
      const scale = Math.min(Math.max(before * factor, 1), Math.max(LEAST_MOST, on.most()));
      const box = picture.getBoundingClientRect();
      const [middleX, middleY] = [box.left + box.width / 2, box.top + box.height / 2];
      view.x += (x - middleX) * (1 - scale / before);
      view.y += (y - middleY) * (1 - scale / before);
      view.scale = scale;
      show();
    }

    const isControl = (event) => event.target.closest('button, a');

    root.addEventListener('pointerdown', (event) => {
      if (isControl(event) || (event.pointerType === 'mouse' && event.button !== 0)) return;
      root.setPointerCapture(event.pointerId);
      const point = { x: event.clientX, y: event.clientY };
      if (!down.size) [start, moved, pinched] = [point, false, false];
      else pinched = true;
      down.set(event.pointerId, point);
    });
    root.addEventListener('pointermove', (event) => {
      const before = down.get(event.pointerId);
      if (!before) return;
      const point = { x: event.clientX, y: event.clientY };
      if (Math.hypot(point.x - start.x, point.y - start.y) > SLOP_PX) moved = true;
      if (down.size === 2) {
        const other = [...down].find(([id]) => id !== event.pointerId)[1];
        const was = Math.hypot(before.x - other.x, before.y - other.y);
        const is = Math.hypot(point.x - other.x, point.y - other.y);
        view.x += (point.x - before.x) / 2;
        view.y += (point.y - before.y) / 2;
        if (was > 4 && is > 4) zoomAt((point.x + other.x) / 2, (point.y + other.y) / 2, is / was);
      } else if (moved && view.scale > 1) {
        view.x += point.x - before.x;
        view.y += point.y - before.y;
        show();
      }
      down.set(event.pointerId, point);
    });
    const up = (event) => {
      const point = down.get(event.pointerId);
      down.delete(event.pointerId);
      if (!point || down.size || event.type === 'pointercancel' || pinched) return;
      if (!moved) { tap(point); return; }
      const [dx, dy] = [point.x - start.x, point.y - start.y];
      if (view.scale === 1 && Math.abs(dx) > SWIPE_PX && Math.abs(dx) > 1.5 * Math.abs(dy)) on.swipe(dx < 0 ? 1 : -1);
    };
    root.addEventListener('pointerup', up);
    root.addEventListener('pointercancel', up);

    // A tap waits for a possible second one.
    function tap(point) {
      if (tapTimer) {
        clearTimeout(tapTimer);
        tapTimer = 0;
        zoomAt(point.x, point.y, view.scale > 1 ? 1 / view.scale : DOUBLE_ZOOM);
        return;
      }
      tapTimer = setTimeout(() => {
        tapTimer = 0;
        on.tap();
      }, DOUBLE_MS);
    }

    root.addEventListener('wheel', (event) => {
      event.preventDefault();
      const unit = event.deltaMode === 1 ? 18 : event.deltaMode === 2 ? 400 : 1;
      const step = Math.max(-300, Math.min(300, event.deltaY * unit));
      zoomAt(event.clientX, event.clientY, Math.exp(-step * (event.ctrlKey ? 0.01 : 0.0022)));
    }, { passive: false });

    return {
      reset() {
        clearTimeout(tapTimer);
        tapTimer = 0;
        down.clear();
        view = { scale: 1, x: 0, y: 0 };
        show();
      },
      zoom(factor) { zoomAt(root.clientWidth / 2, root.clientHeight / 2, factor); },
    };
  };
})(window.mosaicd = window.mosaicd || {});
