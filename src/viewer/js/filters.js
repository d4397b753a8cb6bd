// Which works are dimmed: by folder, by age, by what has just arrived, and by what search has found.
(function (m) {
  'use strict';

  /** Gives `app` its filters; `scene.veil` and `scene.spare` are drawn from them. */
  m.attachFilters = function (app, scene) {
    const filter = app.filter = { fresh: false, arrivals: null, chosen: new Map(), matches: null };
    const showChips = m.createChips(filter, () => { changed(false); app.address.save(); });
    let fresh = 0;
    /** The page's ground over spare cells, where they are drawn as holes. */
    const groundOf = (model) => (model.loading || model.manifest.spare ? null : m.createVeil(model, scene.theme.rgb, (index) => index < 0));

    function passes(index) {
      const work = app.model.works[index];
      if (filter.matches && !filter.matches.has(index)) return false;
      if (filter.fresh && !m.isNew(work, Date.now())) return false;
      if (filter.arrivals && !filter.arrivals.has(work.id)) return false;
      return m.hasChosen(work, filter.chosen);
    }
    const choosing = () => [...filter.chosen.values()].some((values) => values.size);
    /** What is chosen of the facets: `[[facet, value]]`. */
    app.chosen = () => [...filter.chosen].flatMap(([name, values]) => [...values].map((value) => [name, value]));
    /** Chooses just these. */
    app.choose = (list) => {
      if (JSON.stringify(list) === JSON.stringify(app.chosen())) return;
      filter.chosen.clear();
      for (const [name, value] of list) filter.chosen.set(name, (filter.chosen.get(name) || new Set()).add(value));
      changed(false);
    };
    /** Does the visitor filter by a chip? */
    app.filtered = () => Boolean(filter.fresh || filter.arrivals || choosing());
    /** Is any work dimmed, by a chip or by search? */
    app.dimmed = () => app.filtered() || Boolean(filter.matches);

    function changed(atOnce) {
      const { model } = app;
      const now = Date.now();
      fresh = model.works.reduce((sum, work) => sum + m.isNew(work, now), 0);
      app.allNew = fresh === model.works.length;
      if (!fresh || app.allNew) filter.fresh = false;
      showChips({ fresh: app.allNew ? 0 : fresh, facets: m.facetsOf(model) });
      // Which works have a value is loaded when somebody asks for one.
      if (!choosing() || app.need(['facet'], null, () => changed(false))) veilChanged(atOnce);
    }
    function veilChanged(atOnce) {
      const now = app.dimmed() ? m.createVeil(app.model, scene.theme.rgb, (index) => index >= 0 && !passes(index)) : null;
      scene.veil = { now, before: atOnce ? null : scene.veil.now, since: atOnce ? -1e9 : performance.now() };
      app.minimap.invalidate();
      app.requestFrame();
    }

    // While works load it is not known which cells are spare.

    /** A new generation: what it no longer has leaves the filters. */
    app.filtersFollow = (model) => {
      if (filter.arrivals) {
        filter.arrivals = new Set([...filter.arrivals].filter((id) => model.byId.has(id)));
        if (!filter.arrivals.size) filter.arrivals = null;
      }
      const facets = new Map(m.facetsOf(model).map(({ name, values }) => [name, new Set(values.map((value) => value.name))]));
      for (const [name, values] of filter.chosen) {
        for (const value of values) if (!(facets.get(name) && facets.get(name).has(value))) values.delete(value);
      }
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
      filter.chosen.clear();
      changed(false);
      app.address.save();
    };
    app.toggleFresh = () => {
      filter.fresh = !filter.fresh;
      changed(false);
      if (app.allNew) app.notify(m.t('notice.allNew'));
      else if (!fresh) app.notify(m.t('notice.noneNew'));
    };
  };
})(window.mosaicd = window.mosaicd || {});
