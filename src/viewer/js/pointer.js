// Mouse, pen, finger and wheel on the canvas, turned into camera moves and into `hover`, `tap` and `wake`.
(function (m) {
  'use strict';

  const SLOP_PX = 6; // A finger or a hand trembles this much during a tap.
  const DOUBLE_MS = 260;
  const DOUBLE_ZOOM = 2.6;

  /**
   * `on.tap(x, y)`: a single click or tap; `on.hover(x, y)` or `on.hover(null)`: the mouse rests over a point;
   * `on.wake()`: the visitor is there; `on.ownsWheel(event)`: whether the wheel zooms here (a page around this one may
   * scroll with it). Coordinates are CSS pixels of the canvas.
   */
  m.attachPointer = function (canvas, camera, on, requestFrame) {
    const down = new Map(); // pointer id → {x, y}
    let start = null; // where the first pointer went down
    let dragging = false;
    let pinched = false;
    let trail = [];
    let lastTap = null;
    let tapTimer = 0;

    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };

    canvas.addEventListener('pointerdown', (event) => {
      if (event.pointerType === 'mouse' && event.button !== 0) return;
      on.wake();
      canvas.setPointerCapture(event.pointerId);
      camera.stop();
      const point = at(event);
      if (!down.size) { start = point; dragging = false; pinched = false; trail = []; }
      else pinched = true;
      down.set(event.pointerId, point);
      trail = [];
    });

    canvas.addEventListener('pointermove', (event) => {
      on.wake();
      const point = at(event);
      const before = down.get(event.pointerId);
      if (!before) {
        if (event.pointerType !== 'touch') on.hover(point.x, point.y);
        return;
      }
      if (down.size === 1) drag(before, point, event.timeStamp);
      else pinch(event.pointerId, before, point);
      down.set(event.pointerId, point);
      requestFrame();
    });

    function drag(before, point, time) {
      if (!dragging && Math.hypot(point.x - start.x, point.y - start.y) < SLOP_PX) return;
      if (!dragging) {
        dragging = true;
        canvas.classList.add('dragging');
        on.hover(null);
      }
      camera.panBy(point.x - before.x, point.y - before.y);
      trail.push({ ...point, time });
      while (trail.length > 2 && time - trail[0].time > 90) trail.shift();
    }

    function pinch(id, before, point) {
      dragging = true;
      const other = [...down].find(([key]) => key !== id)[1];
      const was = Math.hypot(before.x - other.x, before.y - other.y);
      const is = Math.hypot(point.x - other.x, point.y - other.y);
      camera.panBy((point.x - before.x) / 2, (point.y - before.y) / 2);
      if (was > 4 && is > 4) camera.zoomAt((point.x + other.x) / 2, (point.y + other.y) / 2, is / was);
    }

    function up(event) {
      if (!down.delete(event.pointerId)) return;
      if (down.size) { trail = []; return; }
      canvas.classList.remove('dragging');
      if (event.type === 'pointercancel') return;
      if (!dragging) tap(at(event), event.timeStamp);
      else if (!pinched) flick(event.timeStamp);
      requestFrame();
    }
    canvas.addEventListener('pointerup', up);
    canvas.addEventListener('pointercancel', up);
    canvas.addEventListener('pointerleave', () => { if (!down.size) on.hover(null); });

    function flick(time) {
      const first = trail[0];
      const last = trail[trail.length - 1];
      // A finger that rested before it let go moves nothing on.
      if (!first || time - last.time > 60 || last.time - first.time < 8) return;
      const span = last.time - first.time;
      camera.flick((last.x - first.x) / span, (last.y - first.y) / span, performance.now());
    }

    // A click waits for a possible second one: a double click zooms and must not open a card on the way.
    function tap(point, time) {
      clearTimeout(tapTimer);
      const double = lastTap && time - lastTap.time < DOUBLE_MS
        && Math.hypot(point.x - lastTap.x, point.y - lastTap.y) < 24;
      if (double) {
        lastTap = null;
        camera.easeZoom(point.x, point.y, DOUBLE_ZOOM, performance.now());
        return;
      }
      lastTap = { ...point, time };
      tapTimer = setTimeout(() => on.tap(point.x, point.y), DOUBLE_MS);
    }

    canvas.addEventListener('wheel', (event) => {
      if (!on.ownsWheel(event)) return;
      event.preventDefault();
      on.wake();
      const unit = event.deltaMode === 1 ? 18 : event.deltaMode === 2 ? 400 : 1;
      const [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
      const point = at(event);
      if (event.ctrlKey) {
        // A pinch on a touchpad arrives as small wheel steps with the control key.
        camera.stop();
        camera.zoomAt(point.x, point.y, Math.exp(-Math.max(-60, Math.min(60, dy)) * 0.01));
      } else if (event.shiftKey || Math.abs(dx) > Math.abs(dy)) {
        camera.stop();
        camera.panBy(-(dx || dy), event.shiftKey ? 0 : -dy);
      } else {
        camera.easeZoom(point.x, point.y, Math.exp(-Math.max(-300, Math.min(300, dy)) * 0.0022), performance.now());
      }
      on.hover(point.x, point.y);
      requestFrame();
    }, { passive: false });
  };
})(window.mosaicd = window.mosaicd || {});
