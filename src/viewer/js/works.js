// What a visitor does with works: opens and closes the card, flies to a work, moves the work cursor.
(function (m) {
  'use strict';

  const byId = (id) => document.getElementById(id);

  /** Gives `app` what opens works and moves its cursor. */
  m.attachWorks = function (app) {
    const { camera, canvas } = app;
    const setInset = () => camera.setInset(app.card.covered());

    /** The open work's name and the mosaic's title, for the window, the history and bookmarks. */
    app.nameDocument = () => {
      const title = m.titleOf(app.model);
      const work = app.model.works[app.model.byId.get(app.card.id)];
      document.title = work && m.nameOf(work) ? `${m.isolated(m.nameOf(work))} · ${title}` : title;
    };

    /** Opens a work's card; `fly` goes there, `quiet` leaves the history and the focus alone. */
    app.open = (id, { fly = false, quiet = false, focus = false } = {}) => {
      const work = app.model.works[app.model.byId.get(id)];
      if (!work) return;
      app.slideshow.stop();
      app.card.show(work);
      setInset();
      app.cursor = { col: work.col, row: work.row };
      if (camera.home && !fly) camera.flyHome(performance.now());
      else if (fly) app.flyTo(work);
      else reveal(work);
      if (!quiet) app.address.push(`#work=${id}`);
      app.nameDocument();
      if (focus) byId('card-close').focus({ preventScroll: true });
      speak(work);
      app.requestFrame();
    };
    app.close = () => {
      if (app.card.id === null) return;
      const inside = byId('card').contains(document.activeElement);
      app.card.hide();
      setInset();
      if (camera.home) camera.flyHome(performance.now());
      if (inside) canvas.focus({ preventScroll: true });
      app.nameDocument();
      app.address.save(true);
      app.requestFrame();
    };
    app.flyTo = (work, size, stretch) => {
      const { width, height } = camera.open();
      const scale = size || Math.max(camera.scale, Math.min(width, height) / 4.5);
      camera.fly({ x: work.col + 0.5, y: work.row + 0.5, scale }, performance.now(), stretch);
      app.requestFrame();
    };
    app.home = () => { camera.flyHome(performance.now()); app.requestFrame(); };

    /** Moves just enough for a work to be seen next to the card. */
    function reveal(work) {
      const at = camera.toScreen(work.col + 0.5, work.row + 0.5);
      const { left, top, right, bottom } = camera.inset;
      const room = Math.min(camera.scale / 2 + 16, camera.open().width / 2, camera.open().height / 2);
      const dx = Math.max(0, left + room - at.x) - Math.max(0, at.x - (camera.width - right - room));
      const dy = Math.max(0, top + room - at.y) - Math.max(0, at.y - (camera.height - bottom - room));
      if (!dx && !dy) return;
      const { x, y, scale } = camera;
      camera.fly({ x: x - dx / scale, y: y - dy / scale, scale }, performance.now());
    }

    /** What a screen reader says about a work: its name and its place. */
    const speak = (work) => {
      const say = () => app.announce(spoken(app.workOf(work.id) || work));
      if (app.need(['text'], [work.id], say)) say();
    };
    const spoken = (work) => m.t('work.place', { name: m.nameOf(work),
      col: work.col + 1, cols: app.model.cols, row: work.row + 1, rows: app.model.rows });

    // ---- the work cursor ----

    /** Shows the cursor; false when it was hidden until now. */
    app.showCursor = () => {
      if (app.cursorVisible) return true;
      if (!app.cursor || app.model.indexAt(app.cursor.col, app.cursor.row) < 0) {
        const work = m.nearestWork(app.model, camera.x, camera.y);
        if (!work) return false;
        app.cursor = { col: work.col, row: work.row };
      }
      app.cursorVisible = true;
      if (app.card.id !== null) return true;
      app.setCursor(app.cursor);
      return false;
    };
    app.hideCursor = () => { app.cursorVisible = false; app.hover.at = null; app.requestFrame(); };
    app.setCursor = (cell) => {
      app.cursor = cell;
      app.cursorVisible = true;
      const work = app.model.works[app.model.indexAt(cell.col, cell.row)];
      app.hover.at = { id: work.id, byKey: true };
      if (app.card.id !== null) app.open(work.id, { quiet: true });
      else {
        reveal(work);
        speak(work);
      }
      app.requestFrame();
    };
    app.openCursor = () => {
      const index = app.model.indexAt(app.cursor.col, app.cursor.row);
      if (index >= 0) app.open(app.model.works[index].id, { focus: true });
    };
    /** In a new generation the cursor stays on its work, or moves as the view does. */
    app.followCursor = (before, model, { dx, dy }) => {
      const old = before.works[before.indexAt(app.cursor.col, app.cursor.row)];
      const work = old && model.works[model.byId.get(old.id)];
      app.cursor = work ? { col: work.col, row: work.row } : { col: app.cursor.col + dx, row: app.cursor.row + dy };
      if (model.indexAt(app.cursor.col, app.cursor.row) < 0) { app.cursor = null; app.cursorVisible = false; }
    };
    canvas.addEventListener('focus', () => { if (app.model && canvas.matches(':focus-visible')) app.showCursor(); });
    canvas.addEventListener('blur', () => { if (app.cursorVisible && app.card.id === null) app.hideCursor(); });
  };
})(window.mosaicd = window.mosaicd || {});
