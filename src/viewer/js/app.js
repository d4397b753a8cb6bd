// Brings the parts together: one state, one frame loop, one place where a generation replaces another.
(function (m) {
  'use strict';

  const READY_MS = 6000; // Longest wait for a new generation's tiles before it is shown anyway.
  const byId = (id) => document.getElementById(id);
  const canvas = byId('mosaic');
  const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');

  const camera = m.createCamera();
  const painter = m.createPainter(canvas);
  const filter = { fresh: false, arrivals: null, folders: new Set(), matches: null };
  const app = m.app = {
    canvas, camera, filter,
    model: null,
    cursor: null,
    cursorShown: false,
    /** Milliseconds that each of the last frames took to draw: for measuring, oldest first. */
    frames: [],
    /** Every work is of this week, so being new tells nothing. */
    allNew: false,
    /** Whether regions are named. */
    names: true,
  };
  const tiles = app.tiles = m.createTiles({
    onLoad() { app.minimap.invalidate(); app.thumbs.refresh(false); checkPending(); requestFrame(); },
    onFail() { app.source.poll(); },
  });
  const scene = {
    model: null, camera, tiles, spare: null, veil: { now: null, before: null, since: -1e9 }, rings: [], names: true,
    transition: null, theme: null, reduced: false,
  };
  let pending = null; // A generation whose tiles are being loaded: {model, view, shift, deadline}
  const pace = m.createPace();
  let masthead = { right: 0, bottom: 0 }; // Where the title lies, CSS pixels.
  let lastView = '';
  let movedAt = -1e9;
  let restTimer = 0;
  let frameAsked = false;

  // ---- frames ----

  function requestFrame() {
    if (frameAsked) return;
    frameAsked = true;
    requestAnimationFrame(frame);
  }
  app.requestFrame = requestFrame;

  function frame(now) {
    frameAsked = false;
    const began = performance.now();
    const moving = camera.step(now);
    setDetail(pace.detail(camera.dpr, moved(now, moving) && !scene.transition && !pending, now));
    if (moving && scene.transition && scene.transition.still) endTransition();
    scene.rings = rings();
    scene.names = app.names && !filtered() && !app.wander.on;
    tiles.begin();
    let again = painter.draw(scene, now);
    if (scene.transition && !again) endTransition();
    if (pending) wantPending();
    app.thumbs.want();
    app.minimap.update(scene);
    tiles.pump();
    hover.place();
    document.body.classList.toggle('deep', !camera.home && camera.scale > camera.fitScale() * 1.05);
    const corner = camera.toScreen(0, 0);
    document.body.classList.toggle('crowded', corner.x < masthead.right && corner.y < masthead.bottom);
    app.frames.push(performance.now() - began);
    if (app.frames.length > 600) app.frames.shift();
    if (moving || again) requestFrame();
    else address.save();
  }

  /** Whether the view moves, by a glide or by hand; looks how far apart the frames of the motion lie. */
  function moved(now, moving) {
    const view = `${camera.x} ${camera.y} ${camera.scale}`;
    const changed = view !== lastView;
    lastView = view;
    if (changed) {
      movedAt = now;
      requestAnimationFrame((next) => pace.measured(next - now, next));
    }
    return moving || now - movedAt < pace.REST_MS;
  }

  /** Draws this share of the screen's pixels from now on. */
  function setDetail(detail) {
    clearTimeout(restTimer);
    if (detail < 1) restTimer = setTimeout(requestFrame, pace.REST_MS + 10); // At rest all is drawn in full.
    if (camera.detail === detail) return;
    camera.detail = detail;
    const dpr = m.drawnDpr(camera);
    painter.resize(Math.round(innerWidth * dpr), Math.round(innerHeight * dpr));
  }

  function rings() {
    const list = [];
    const { model } = app;
    if (!model) return list;
    const add = (id, colour, width) => {
      const work = model.works[model.byId.get(id)];
      if (work) list.push({ col: work.col, row: work.row, colour, width });
    };
    if (hover.at && camera.scale > 6) add(hover.at.id, 'rgba(255,255,255,.9)', 1.5);
    if (app.card.id !== null) add(app.card.id, scene.theme.accent, 3);
    if (app.cursorShown) list.push({ ...app.cursor, colour: '#fff', width: 2.5 });
    return list;
  }

  function resize() {
    const dpr = Math.min(devicePixelRatio || 1, 4);
    camera.detail = 1;
    painter.resize(Math.round(innerWidth * dpr), Math.round(innerHeight * dpr));
    camera.resize(innerWidth, innerHeight, dpr);
    setInset();
    app.minimap.invalidate();
    // Changing a canvas's size clears it: drawn at once, or the page would flash.
    if (scene.theme) frame(performance.now());
  }

  function setInset() {
    camera.setInset(app.card.covered());
  }

  // ---- generations ----

  function receive(manifest) {
    if (!(manifest && manifest.schema <= m.SCHEMA)) { showState('newer'); return; }
    const model = m.createModel(manifest);
    document.title = manifest.title || 'Mosaic';
    if (!app.model || !app.model.works.length || !model.works.length) { adopt(model); return; }
    const view = m.viewOf(camera, app.model);
    const shift = camera.home ? { dx: 0, dy: 0 } : m.worldShift(app.model, model, view, camera, app.card.id);
    pending = { model, shift, deadline: performance.now() + READY_MS };
    setTimeout(checkPending, READY_MS + 50);
    checkPending();
    requestFrame();
  }

  /** The view the camera will have in the pending generation. */
  function pendingView() {
    const { model, shift } = pending;
    if (camera.home) {
      const future = Object.assign(Object.create(camera), {});
      const middle = camera.middle();
      const { width, height } = camera.open();
      const scale = Math.min(camera.scale * camera.cols / model.cols, camera.scale * camera.rows / model.rows,
        width / model.cols, height / model.rows);
      Object.assign(future, { x: model.cols / 2, y: model.rows / 2, scale, middle: () => middle });
      return m.viewOf(future, model);
    }
    const moved = Object.assign(Object.create(camera), { x: camera.x + shift.dx, y: camera.y + shift.dy });
    return m.viewOf(moved, model);
  }
  function eachPendingTile(visit) {
    const { model } = pending;
    const view = pendingView();
    const level = m.levelFor(model.pyramid, view.k);
    m.eachTile(model, view, level, (col, row) => visit(model.pyramid.url(level, col, row)));
    visit(model.pyramid.url(model.pyramid.min, 0, 0));
  }
  function wantPending() {
    eachPendingTile((url) => tiles.want(url, 0.2));
  }
  /** Shows the pending generation once everything it needs on screen is here; the old one stays until then. */
  function checkPending() {
    if (!pending) return;
    if (scene.transition && performance.now() < pending.deadline) return;
    let ready = true;
    eachPendingTile((url) => { ready = ready && tiles.settled(url); });
    if (!ready && performance.now() < pending.deadline) return;
    eachPendingTile((url) => { const tile = tiles.get(url); if (tile) tile.since = -1e9; });
    const { model, shift } = pending;
    pending = null;
    replace(model, shift);
  }

  function replace(model, shift) {
    const before = app.model;
    if (camera.detail !== 1) {
      // Where a glide begins, the screen is copied: in full.
      setDetail(1);
      painter.draw(scene, performance.now());
    }
    const oldView = m.viewOf(camera, before);
    const level = m.levelFor(before.pyramid, oldView.k);
    const still = app.camera.reduced;
    const picture = still ? null : painter.snapshot();
    const refit = camera.home && (before.cols !== model.cols || before.rows !== model.rows);
    const offset = refit ? { dx: 0, dy: 0 } : shift;
    if (app.cursor) followCursor(before, model, offset);
    adoptWorld(model);
    camera.shift(offset.dx, offset.dy);
    if (camera.home) camera.fit();
    scene.transition = null;
    if (!still) {
      const newView = m.viewOf(camera, model);
      const diff = filtered() || refit
        ? { total: Infinity } : m.diffVisible(before, model, oldView, newView, offset);
      tiles.hold = true;
      scene.transition = m.createTransition({
        before, after: model, diff, level, tiles, now: performance.now(), snapshot: () => picture });
    }
    announceArrivals(before, model);
    m.sinceLastVisit(model, m.remembered);
    requestFrame();
  }

  function endTransition() {
    scene.transition = null;
    tiles.hold = false;
    checkPending();
    requestFrame(); // The last frame of a glide still showed the pieces that glided.
  }

  /** The first generation, or one from or to nothing. */
  function adopt(model) {
    const first = !app.model || !app.model.works.length;
    pending = null;
    adoptWorld(model);
    scene.transition = null;
    if (first) {
      camera.home = true;
      camera.fit();
      address.follow(true);
      const { arrived, generation } = m.sinceLastVisit(model, m.remembered);
      if (arrived.length && arrived.length < model.works.length) {
        const text = `${arrived.length.toLocaleString()} new since your last visit`;
        app.notify(text, { label: 'Show', run: () => { showArrivals(arrived); offerMoves(generation); } });
      }
    } else m.sinceLastVisit(model, m.remembered);
    requestFrame();
  }

  function adoptWorld(model) {
    app.model = scene.model = model;
    const { pyramid } = model;
    camera.setWorld(model.cols, model.rows, pyramid.levels.get(pyramid.max).cellPx);
    showState(model.works.length ? null : 'empty');
    byId('title').textContent = model.manifest.title || 'Mosaic';
    const count = model.works.length;
    byId('count').textContent = count ? `${count.toLocaleString()} ${count === 1 ? 'work' : 'works'}` : '';
    canvas.setAttribute('aria-label', `${model.manifest.title || 'Mosaic'}: ${count} works, similar ones side by side`);
    if (filter.arrivals) {
      filter.arrivals = new Set([...filter.arrivals].filter((id) => model.byId.has(id)));
      if (!filter.arrivals.size) filter.arrivals = null;
    }
    const known = new Set(m.foldersOf(model).list.map((folder) => folder.name));
    for (const name of filter.folders) if (!known.has(name)) filter.folders.delete(name);
    scene.spare = m.createVeil(model, scene.theme.rgb, (index) => index < 0);
    filterChanged(true);
    app.minimap.invalidate();
    app.thumbs.refresh(true);
    app.search.refresh();
    if (hover.at && !model.byId.has(hover.at.id)) hover.at = null;
    if (app.card.id !== null) {
      const work = model.works[model.byId.get(app.card.id)];
      if (work) app.card.show(work);
      else { app.close(); app.notify('This work has left the mosaic'); }
    }
  }

  function announceArrivals(before, model) {
    const arrived = model.works.filter((work) => !before.byId.has(work.id)).map((work) => work.id);
    if (!arrived.length) return;
    const text = arrived.length === 1 ? '1 new work' : `${arrived.length.toLocaleString()} new works`;
    app.notify(text, { label: 'Show', run: () => showArrivals(arrived) });
    announce(text);
  }

  /** Says how many works have moved since a generation, if the journal goes back that far, and offers to play it. */
  async function offerMoves(generation) {
    const moved = generation ? m.movedSince(await m.readPast().catch(() => []), generation) : [];
    if (!moved.length) return;
    const text = moved.length === 1 ? '1 work has moved' : `${moved.length.toLocaleString()} works have moved`;
    app.notify(text, { label: 'Watch', run: () => app.film.start(generation) });
  }

  function showArrivals(ids) {
    const here = ids.map((id) => app.model.works[app.model.byId.get(id)]).filter(Boolean);
    if (here.length === 1) { app.open(here[0].id, { fly: true }); return; }
    if (!here.length) return;
    filter.arrivals = new Set(here.map((work) => work.id));
    filterChanged(false);
    camera.flyHome(performance.now());
    requestFrame();
  }

  function showState(kind) {
    document.body.dataset.state = kind || 'ready';
    for (const part of document.querySelectorAll('[data-when]')) part.hidden = part.dataset.when !== kind;
  }

  function trouble(kind) {
    const nothing = !app.model;
    if (kind && nothing) showState(kind);
    byId('offline').hidden = !(kind && !nothing);
  }

  // ---- filters ----

  function passes(index) {
    const work = app.model.works[index];
    if (filter.matches && !filter.matches.has(index)) return false;
    if (filter.fresh && !m.isNew(work, Date.now())) return false;
    if (filter.arrivals && !filter.arrivals.has(work.id)) return false;
    if (!filter.folders.size) return true;
    const { list, folderOf } = m.foldersOf(app.model);
    return folderOf[index] >= 0 && filter.folders.has(list[folderOf[index]].name);
  }
  const filtered = () => Boolean(filter.fresh || filter.arrivals || filter.folders.size || filter.matches);
  app.filtered = () => Boolean(filter.fresh || filter.arrivals || filter.folders.size);

  function filterChanged(atOnce) {
    const { model } = app;
    const now = Date.now();
    const fresh = model.works.reduce((sum, work) => sum + m.isNew(work, now), 0);
    app.allNew = fresh === model.works.length;
    if (!fresh || app.allNew) filter.fresh = false;
    showChips({ fresh: app.allNew ? 0 : fresh, folders: m.foldersOf(model).list });
    veilChanged(atOnce);
  }
  function veilChanged(atOnce) {
    const now = filtered() ? m.createVeil(app.model, scene.theme.rgb, (index) => index >= 0 && !passes(index)) : null;
    scene.veil = { now, before: atOnce ? null : scene.veil.now, since: atOnce ? -1e9 : performance.now() };
    app.minimap.invalidate();
    requestFrame();
  }
  app.setMatches = (indices) => {
    filter.matches = indices ? new Set(indices) : null;
    if (app.model) veilChanged(false);
  };
  app.clearFilter = () => {
    Object.assign(filter, { fresh: false, arrivals: null });
    filter.folders.clear();
    filterChanged(false);
  };
  app.toggleFresh = () => { filter.fresh = !filter.fresh; filterChanged(false); };

  // ---- works ----

  /** Opens a work's card; `fly` goes there, `quiet` leaves the history and the focus alone. */
  app.open = (id, { fly = false, quiet = false, focus = false } = {}) => {
    const work = app.model.works[app.model.byId.get(id)];
    if (!work) return;
    app.wander.stop();
    app.card.show(work);
    setInset();
    app.cursor = { col: work.col, row: work.row };
    if (camera.home && !fly) camera.flyHome(performance.now());
    else if (fly) app.flyTo(work);
    else reveal(work);
    if (!quiet) address.push(`#work=${id}`);
    if (focus) byId('card-close').focus({ preventScroll: true });
    announce(`${m.nameOf(work)}. ${placeOf(work)}`);
    requestFrame();
  };
  app.close = () => {
    if (app.card.id === null) return;
    const inside = byId('card').contains(document.activeElement);
    app.card.hide();
    setInset();
    if (camera.home) camera.flyHome(performance.now());
    if (inside) canvas.focus({ preventScroll: true });
    address.save(true);
    requestFrame();
  };
  app.flyTo = (work, size, stretch) => {
    const { width, height } = camera.open();
    const scale = size || Math.max(camera.scale, Math.min(width, height) / 4.5);
    camera.fly({ x: work.col + 0.5, y: work.row + 0.5, scale }, performance.now(), stretch);
    requestFrame();
  };
  app.home = () => { camera.flyHome(performance.now()); requestFrame(); };

  /** Moves just enough for a work to be seen beside the card. */
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

  const placeOf = (work) => `Column ${work.col + 1} of ${app.model.cols}, row ${work.row + 1} of ${app.model.rows}`;

  // ---- the work cursor ----

  /** Shows the cursor; false when it was hidden until now. */
  app.showCursor = () => {
    if (app.cursorShown) return true;
    if (!app.cursor || app.model.indexAt(app.cursor.col, app.cursor.row) < 0) {
      const work = m.nearestWork(app.model, camera.x, camera.y);
      if (!work) return false;
      app.cursor = { col: work.col, row: work.row };
    }
    app.cursorShown = true;
    if (app.card.id !== null) return true;
    app.setCursor(app.cursor);
    return false;
  };
  app.hideCursor = () => { app.cursorShown = false; hover.at = null; requestFrame(); };
  app.setCursor = (cell) => {
    app.cursor = cell;
    app.cursorShown = true;
    const work = app.model.works[app.model.indexAt(cell.col, cell.row)];
    hover.at = { id: work.id, byKey: true };
    if (app.card.id !== null) app.open(work.id, { quiet: true });
    else {
      reveal(work);
      announce(`${m.nameOf(work)}. ${placeOf(work)}`);
    }
    requestFrame();
  };
  app.openCursor = () => {
    const index = app.model.indexAt(app.cursor.col, app.cursor.row);
    if (index >= 0) app.open(app.model.works[index].id, { focus: true });
  };
  function followCursor(before, model, { dx, dy }) {
    const old = before.works[before.indexAt(app.cursor.col, app.cursor.row)];
    const work = old && model.works[model.byId.get(old.id)];
    app.cursor = work ? { col: work.col, row: work.row } : { col: app.cursor.col + dx, row: app.cursor.row + dy };
    if (model.indexAt(app.cursor.col, app.cursor.row) < 0) { app.cursor = null; app.cursorShown = false; }
  }
  canvas.addEventListener('focus', () => { if (app.model && canvas.matches(':focus-visible')) app.showCursor(); });
  canvas.addEventListener('blur', () => { if (app.cursorShown && app.card.id === null) app.hideCursor(); });

  let announceTimer = 0;
  /** Says something to screen readers, once the keys rest. */
  function announce(text) {
    clearTimeout(announceTimer);
    announceTimer = setTimeout(() => { byId('live').textContent = text; }, 120);
  }

  // ---- captions ----

  /** A line below the mosaic: the museum label of the work that wandering shows, the film's date. Null for none. */
  app.setCaption = (text) => {
    byId('caption').textContent = text || '';
    document.body.classList.toggle('captioned', Boolean(text));
  };
  app.announce = announce;

  // ---- start ----

  app.notify = m.createNotice();
  app.thumbs = m.createThumbs(app);
  app.minimap = m.createMinimap(app);
  app.card = m.createCard(app);
  app.large = m.createLarge(app);
  const hover = m.createHover(app);
  app.search = m.createSearch(app);
  app.wander = m.createWander(app);
  app.film = m.createFilm(app, scene);
  app.help = m.createHelp();
  app.toggleFullscreen = m.attachFullscreen();
  const showChips = m.createChips(filter, () => filterChanged(false));
  app.theme = m.createTheme((theme) => {
    scene.theme = theme;
    if (!app.model) { requestFrame(); return; }
    scene.spare = m.createVeil(app.model, theme.rgb, (index) => index < 0);
    veilChanged(true);
  });
  app.theme.apply();
  const setMotion = () => { camera.reduced = scene.reduced = reducedMotion.matches; };
  reducedMotion.addEventListener('change', setMotion);
  setMotion();
  const address = m.attachAddress(app);
  m.attachKeys(app);
  const wake = m.createIdle();
  m.attachPointer(canvas, camera, {
    tap(x, y) {
      const work = hover.workAt(x, y);
      if (work) app.open(work.id);
      else app.close();
    },
    hover: hover.move,
    wake() { wake(); app.wander.stop(); },
  }, requestFrame);
  for (const [id, action] of [['home', app.home], ['search-open', () => app.search.open()], ['wander', () => app.wander.start()],
    ['film-start', () => app.film.start()],
    ['reload', () => location.reload()]]) byId(id).addEventListener('click', action);
  addEventListener('resize', resize);
  new ResizeObserver(() => {
    masthead = byId('masthead').getBoundingClientRect();
    requestFrame();
  }).observe(byId('masthead'));
  resize();
  app.source = m.createSource({ onManifest: receive, onTrouble: trouble });
  app.source.poll();
})(window.mosaicd = window.mosaicd || {});
