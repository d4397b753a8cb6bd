// The keyboard: a work cursor for the canvas, and single keys for what the buttons do.
//
// Arrow keys move the cursor from work to work once it is there (the canvas has focus, or a card is open) and pan before
// that. Tab is left to the browser: it walks through the controls and is never trapped in the canvas.
(function (m) {
  'use strict';

  const PAN_PX = 120;
  const STEP_ZOOM = 1.6;

  m.attachKeys = function (app) {
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const now = () => performance.now();
    const zoomMiddle = (factor) => {
      const at = app.cursor && app.cursorVisible
        ? app.camera.toScreen(app.cursor.col + 0.5, app.cursor.row + 0.5) : app.camera.middle();
      app.camera.easeZoom(at.x, at.y, factor, now());
      app.requestFrame();
    };

    const commands = {
      '/': () => app.search.open(),
      '+': () => zoomMiddle(STEP_ZOOM),
      '=': () => zoomMiddle(STEP_ZOOM),
      '-': () => zoomMiddle(1 / STEP_ZOOM),
      '0': () => app.home(),
      l: () => app.large.open(),
      n: () => app.toggleFresh(),
      r: () => { app.names = !app.names; app.requestFrame(); },
      w: () => app.slideshow.start(),
      g: () => app.timelapse.start(),
      f: () => app.toggleFullscreen(),
      t: () => app.theme.next(),
      '?': () => app.help.toggle(),
    };

    function escape() {
      if (app.search.isOpen()) app.search.close();
      else if (app.card.id !== null) app.close();
      else if (app.filtered() || app.colouredBy() !== null) app.clearFilter();
      else app.hideCursor();
    }

    /** Moves the cursor; from the edge it stays where it is. Spare cells are passed over. */
    function move(dx, dy) {
      const { model } = app;
      let { col, row } = app.cursor;
      do { col += dx; row += dy; } while (model.indexAt(col, row) < 0 && inside(model, col, row));
      if (inside(model, col, row)) app.setCursor({ col, row });
    }
    const inside = (model, col, row) => col >= 0 && row >= 0 && col < model.cols && row < model.rows;

    function edge(last) {
      const { model, cursor } = app;
      const order = Array.from({ length: model.cols }, (_, i) => (last ? model.cols - 1 - i : i));
      const col = order.find((c) => model.indexAt(c, cursor.row) >= 0);
      if (col !== undefined) app.setCursor({ col, row: cursor.row });
    }

    addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (app.help.isOpen() || app.large.isOpen()) return;
      const { target } = event;
      const typing = target.matches && target.matches('input, textarea, select');
      if (event.key === 'Escape') {
        app.slideshow.stop();
        escape();
        event.preventDefault();
        return;
      }
      if (typing || !app.model || !app.model.works.length) return;
      const wasOn = app.slideshow.on;
      app.slideshow.stop();
      const onButton = target.matches && target.matches('button, a, summary');
      if (arrows[event.key]) {
        if (onButton && target.closest('.chips')) return;
        arrow(arrows[event.key], event.shiftKey);
      } else if (event.key === 'Enter' || event.key === ' ') {
        if (onButton || !app.cursorVisible) return;
        app.openCursor();
      } else if (event.key === 'Home' || event.key === 'End') {
        app.showCursor();
        edge(event.key === 'End');
      } else if (commands[event.key.toLowerCase()]) {
        if (event.key.toLowerCase() === 'w' && wasOn) return;
        commands[event.key.toLowerCase()]();
      } else return;
      event.preventDefault();
    });

    function arrow([dx, dy], shift) {
      const browsing = app.cursorVisible || app.card.id !== null || document.activeElement === app.canvas;
      if (browsing && !shift) {
        // The first press shows where the cursor is; the next ones move it.
        if (app.showCursor()) move(dx, dy);
        return;
      }
      app.camera.stop();
      app.camera.panBy(-dx * PAN_PX, -dy * PAN_PX);
      if (!app.camera.reduced) app.camera.flick(-dx * 0.35, -dy * 0.35, now());
      app.requestFrame();
    }

    for (const [id, factor] of [['zoom-in', STEP_ZOOM], ['zoom-out', 1 / STEP_ZOOM]]) {
      document.getElementById(id).addEventListener('click', () => zoomMiddle(factor));
    }
  };
})(window.mosaicd = window.mosaicd || {});
