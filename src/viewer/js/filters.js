// Which works are dimmed: by folder, by age, by what has just arrived, and by what search has found.
(function (m) {
  'use strict';

  /** Gives `app` its filters; `scene.veil` and `scene.spare` are drawn from them. */
  m.attachFilters = function (app, scene) {
    const filter = app.filter = { fresh: false, arrivals: null, folders: new Set(), matches: null };
    const showChips = m.createChips(filter, () => changed(false));
    let fresh = 0;
    /** The page's ground over spare cells, where they are drawn as holes. */
    const groundOf = (model) => (model.manifest.spare ? null : m.createVeil(model, scene.theme.rgb, (index) => index < 0));

    function passes(index) {
      const work = app.model.works[index];
      if (filter.matches && !filter.matches.has(index)) return false;
      if (filter.fresh && !m.isNew(work, Date.now())) return false;
      if (filter.arrivals && !filter.arrivals.has(work.id)) return false;
      if (!filter.folders.size) return true;
      const { list, folderOf } = m.foldersOf(app.model);
      return folderOf[index] >= 0 && filter.folders.has(list[folderOf[index]].name);
    }
    /** Does the visitor filter by a chip? */
    app.filtered = () => Boolean(filter.fresh || filter.arrivals || filter.folders.size);
    /** Is any work dimmed, by a chip or by search? */
    app.dimmed = () => app.filtered() || Boolean(filter.matches);

    function changed(atOnce) {
      const { model } = app;
      const now = Date.now();
      fresh = model.works.reduce((sum, work) => sum + m.isNew(work, now), 0);
      app.allNew = fresh === model.works.length;
      if (!fresh || app.allNew) filter.fresh = false;
      showChips({ fresh: app.allNew ? 0 : fresh, folders: m.foldersOf(model).list });
      veilChanged(atOnce);
    }
    function veilChanged(atOnce) {
      const now = app.dimmed() ? m.createVeil(app.model, scene.theme.rgb, (index) => index >= 0 && !passes(index)) : null;
      scene.veil = { now, before: atOnce ? null : scene.veil.now, since: atOnce ? -1e9 : performance.now() };
      app.minimap.invalidate();
      app.requestFrame();
    }

    /** A new generation: what it no longer has leaves the filters. */
    app.filtersFollow = (model) => {
      if (filter.arrivals) {
        filter.arrivals = new Set([...filter.arrivals].filter((id) => model.byId.has(id)));
        if (!filter.arrivals.size) filter.arrivals = null;
      }
      const known = new Set(m.foldersOf(model).list.map((folder) => folder.name));
      for (const name of filter.folders) if (!known.has(name)) filter.folders.delete(name);
      scene.spare = groundOf(model);
      changed(true);
    };
    /** The theme has changed: veils are of its background colour. */
    app.filtersRecolour = () => {
      scene.spare = groundOf(app.model);
      veilChanged(true);
    };
    /** Dims all but these works. */
    app.filterArrivals = (ids) => {
      filter.arrivals = new Set(ids);
      changed(false);
    };
    app.setMatches = (indices) => {
      filter.matches = indices ? new Set(indices) : null;
      if (app.model) veilChanged(false);
    };
    app.clearFilter = () => {
      Object.assign(filter, { fresh: false, arrivals: null });
      filter.folders.clear();
      changed(false);
    };
    app.toggleFresh = () => {
      filter.fresh = !filter.fresh;
      changed(false);
      if (app.allNew) app.notify(m.t('notice.allNew'));
      else if (!fresh) app.notify(m.t('notice.noneNew'));
    };
  };
})(window.mosaicd = window.mosaicd || {});
