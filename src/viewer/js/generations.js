// From one published generation to the next: waits for the new one's tiles, replaces the old one, says what arrived.
(function (m) {
  'use strict';

  const READY_MS = 6000; // Longest wait for a new generation's tiles before it is shown anyway.
  const byId = (id) => document.getElementById(id);

  /** `receive(manifest)` or `show(model)`, `check()` after tiles arrived, `waiting()`, `want()` in a frame, `endTransition()`, `trouble(kind)`. */
  m.createGenerations = function (app, scene, painter) {
    const { camera, tiles } = app;
    const generations = {};
    let pending = null; // A generation whose tiles are being loaded: {model, shift, deadline}

    generations.waiting = () => Boolean(pending);

    generations.receive = (manifest) => {
      if (!(manifest && manifest.schema <= m.SCHEMA)) { showState('newer'); return; }
      generations.show(m.createModel(manifest));
    };
    /** Resolves when what is shown needs nothing more; a model without works: when there is a picture of the whole. */
    generations.show = (model) => {
      if (!(model.manifest.schema <= m.SCHEMA)) { showState('newer'); return undefined; }
      if (!app.model || !app.model.works.length || !model.works.length) return adopt(model);
      const view = m.viewOf(camera, app.model);
      const shift = camera.home ? { dx: 0, dy: 0 } : m.worldShift(app.model, model, view, camera, app.card.id);
      pending = { model, shift, deadline: performance.now() + READY_MS };
      setTimeout(generations.check, READY_MS + 50);
      generations.check();
      return app.requestFrame();
    };

    /** The view that the camera will have in the pending generation. */
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
    generations.want = () => {
      if (pending) eachPendingTile((url) => tiles.want(url, 0.2));
    };
    /** Shows the pending generation once everything that it needs on screen is here; the old one stays until then. */
    generations.check = () => {
      if (!pending) return;
      if (scene.transition && performance.now() < pending.deadline) return;
      let ready = true;
      eachPendingTile((url) => { ready = ready && tiles.settled(url); });
      if (!ready && performance.now() < pending.deadline) return;
      eachPendingTile((url) => { const tile = tiles.get(url); if (tile) tile.since = -1e9; });
      const { model, shift } = pending;
      pending = null;
      replace(model, shift);
    };

    function replace(model, shift) {
      const before = app.model;
      app.frames.drawNow(); // The transition begins with a copy of the screen.
      const oldView = m.viewOf(camera, before);
      const level = m.levelFor(before.pyramid, oldView.k);
      const still = camera.reduced;
      const picture = still ? null : painter.snapshot();
      const refit = camera.home && (before.cols !== model.cols || before.rows !== model.rows);
      const offset = refit ? { dx: 0, dy: 0 } : shift;
      if (app.cursor) app.followCursor(before, model, offset);
      adoptWorld(model);
      camera.shift(offset.dx, offset.dy);
      if (camera.home) camera.fit();
      scene.transition = null;
      if (!still) {
        const newView = m.viewOf(camera, model);
        const diff = app.dimmed() || scene.tint || refit
          ? { total: Infinity } : m.diffVisible(before, model, oldView, newView, offset);
        tiles.hold = true;
        scene.transition = m.createTransition({
          before, after: model, diff, level, tiles, now: performance.now(), snapshot: () => picture });
      }
      announceArrivals(before, model);
      m.sinceLastVisit(model, m.remembered);
      app.requestFrame();
    }

    generations.endTransition = () => {
      scene.transition = null;
      tiles.hold = false;
      generations.check();
      app.requestFrame(); // The last frame of a transition still showed works on their way.
    };

    /** The first generation, or one from or to nothing. */
    function adopt(model) {
      const first = !app.model || !app.model.works.length;
      const begun = app.model && app.model.loading;
      pending = null;
      adoptWorld(model);
      scene.transition = null;
      if (first && !begun) {
        camera.home = true;
        camera.fit();
      }
      if (model.loading) {
        app.requestFrame();
        return app.tiles.first(model.pyramid.url(model.pyramid.min, 0, 0));
      }
      if (first) {
        app.address.follow(true);
        const { arrived, generation } = m.sinceLastVisit(model, m.remembered);
        if (arrived.length && arrived.length < model.works.length) {
          app.notify(m.t('notice.newSince', { n: arrived.length }), {
            label: m.t('notice.show'), run: () => { showArrivals(arrived); offerMoves(generation); } });
        }
      } else m.sinceLastVisit(model, m.remembered);
      return app.requestFrame();
    }

    function adoptWorld(model) {
      app.model = scene.model = model;
      const { pyramid } = model;
      const title = m.titleOf(model);
      const { count } = model;
      camera.largePx = m.largestOf(model);
      camera.setWorld(model.cols, model.rows, pyramid.levels.get(pyramid.max).cellPx);
      showState(count ? null : 'empty');
      byId('title').textContent = title;
      byId('count').textContent = count ? m.t('works', { n: count }) : '';
      app.canvas.setAttribute('aria-roledescription', m.t('mosaic.role'));
      app.canvas.setAttribute('aria-label', m.t('mosaic.label', { title, works: m.t('works', { n: count }) }));
      app.filtersFollow(model);
      app.minimap.invalidate();
      app.thumbs.refresh(true);
      app.search.refresh();
      if (app.hover.at && !model.byId.has(app.hover.at.id)) app.hover.at = null;
      if (app.card.id !== null) {
        const work = model.works[model.byId.get(app.card.id)];
        if (work) app.card.show(work);
        else { app.close(); app.notify(m.t('notice.left')); }
      }
      app.nameDocument();
    }

    function announceArrivals(before, model) {
      const arrived = model.works.filter((work) => !before.byId.has(work.id)).map((work) => work.id);
      if (!arrived.length) return;
      const text = m.t('notice.arrived', { n: arrived.length });
      app.notify(text, { label: m.t('notice.show'), run: () => showArrivals(arrived) });
      app.announce(text);
    }

    /** Says how many works have moved since a generation, if the journal goes back that far, and offers to play it. */
    async function offerMoves(generation) {
      const moved = generation ? m.movedSince(await m.readPast().catch(() => []), generation) : [];
      if (!moved.length) return;
      app.notify(m.t('notice.moved', { n: moved.length }), {
        label: m.t('notice.watch'), run: () => app.timelapse.start(generation) });
    }

    function showArrivals(ids) {
      const here = ids.map((id) => app.model.works[app.model.byId.get(id)]).filter(Boolean);
      if (here.length === 1) { app.open(here[0].id, { fly: true }); return; }
      if (!here.length) return;
      app.filterArrivals(here.map((work) => work.id));
      camera.flyHome(performance.now());
      app.requestFrame();
    }

    function showState(kind) {
      document.body.dataset.state = kind || 'ready';
      for (const part of document.querySelectorAll('[data-when]')) part.hidden = part.dataset.when !== kind;
    }

    /** `kind` as `createSource` says it, null when all is well again. */
    generations.trouble = (kind) => {
      const nothing = !app.model;
      if (kind && nothing) showState(kind);
      byId('offline').hidden = !(kind && !nothing);
    };

    return generations;
  };
})(window.mosaicd = window.mosaicd || {});
