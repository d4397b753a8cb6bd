// Which works are dimmed: by folder, by age, by what has just arrived, and by what search has found; and by which column
// works are coloured.
(function (m) {
  'use strict';

  /** Gives `app` its filters; `scene.veil`, `scene.tint` and `scene.spare` are drawn from them. */
  m.attachFilters = function (app, scene) {
    const filter = app.filter = { fresh: false, arrivals: null, chosen: new Map(), matches: null, by: null };
    const showChips = m.createChips(filter, () => { changed(false); app.address.save(); });
    let fresh = 0;
    /** The page's ground over spare cells, where they are drawn as holes. */
    const groundOf = (model) => (model.loading || model.manifest.spare ? null
      : m.createVeil(model, (index) => (index < 0 ? scene.theme.rgb : null)));

    /** Does a work pass all filters that are no facets, apart from the age? */
    const isWanted = (index) => (!filter.matches || filter.matches.has(index))
      && (!filter.arrivals || filter.arrivals.has(app.model.works[index].id));
    const isOfAge = (index, now) => !filter.fresh || m.isNew(app.model.works[index], now);
    const isChosen = (index) => !m.facetsAgainst(app.model.works[index], filter.chosen).length;
    const passes = (index, now) => isWanted(index) && isOfAge(index, now) && isChosen(index);
    const choosing = () => [...filter.chosen.values()].some((values) => values.size);
    /** What is chosen of the facets: `[[facet, value]]`. */
    app.chosen = () => [...filter.chosen].flatMap(([name, values]) => [...values].map((value) => [name, value]));
    /** Chooses just these. */
    app.choose = (list, by = null) => {
      if (JSON.stringify(list) === JSON.stringify(app.chosen()) && by === filter.by) return;
      filter.chosen.clear();
      filter.by = m.facetsOf(app.model).some(({ name, values }) => name && name === by && values.length) ? by : null;
      for (const [name, value] of list) filter.chosen.set(name, (filter.chosen.get(name) || new Set()).add(value));
      changed(false);
    };
    /** Does the visitor filter by a chip? */
    app.filtered = () => Boolean(filter.fresh || filter.arrivals || choosing());
    /** The column that colours works, or null. */
    app.colouredBy = () => filter.by;
    /** Is any work dimmed, by a chip or by search? */
    app.dimmed = () => app.filtered() || Boolean(filter.matches);

    function changed(atOnce) {
      const { model } = app;
      const now = Date.now();
      fresh = model.works.reduce((sum, work) => sum + m.isNew(work, now), 0);
      app.allNew = fresh === model.works.length;
      if (!fresh || app.allNew) filter.fresh = false;
      const facets = m.facetsOf(model);
      // Which works have a value is loaded when somebody asks for one, or for how many are left.
      const asked = filter.by !== null || (app.dimmed() && facets.some(({ values }) => values.length));
      const known = !asked || app.need(['facet'], null, () => changed(false));
      const left = known && app.dimmed();
      const all = model.works;
      showChips({
        facets,
        fresh: app.allNew || !fresh ? null
          : left ? all.reduce((sum, work, i) => sum + (m.isNew(work, now) && isWanted(i) && isChosen(i)), 0) : fresh,
        counts: left ? m.countsWithin(model, filter.chosen, (index) => isWanted(index) && isOfAge(index, now)) : null,
        colours: coloursNow(),
      });
      if (known || !(choosing() || filter.by !== null)) veilChanged(atOnce);
    }
    function coloursNow() {
      const facet = filter.by === null ? null : m.facetsOf(app.model).find(({ name }) => name === filter.by);
      return facet ? m.coloursOf(facet) : null;
    }
    function veilChanged(atOnce) {
      const time = Date.now();
      const dims = (index) => index >= 0 && !passes(index, time);
      const now = app.dimmed() ? m.createVeil(app.model, (index) => (dims(index) ? scene.theme.rgb : null)) : null;
      scene.veil = { now, before: atOnce ? null : scene.veil.now, since: atOnce ? -1e9 : performance.now() };
      const colours = coloursNow();
      const colourOf = colours && ((index) => {
        const own = index >= 0 && app.model.works[index].values;
        const [value] = (own && own.get(colours.name)) || [];
        return value === undefined || dims(index) ? null : colours.of(value);
      });
      scene.tint = colours && { colourOf, veil: m.createVeil(app.model, colourOf) };
      app.minimap.invalidate();
      app.requestFrame();
    }

    /** A new generation: what it no longer has leaves the filters. */
    app.filtersFollow = (model) => {
      if (filter.arrivals) {
        filter.arrivals = new Set([...filter.arrivals].filter((id) => model.byId.has(id)));
        if (!filter.arrivals.size) filter.arrivals = null;
      }
      const facets = new Map(m.facetsOf(model).map(({ name, values }) => [name, new Set(values.map((value) => value.name))]));
      if (!(facets.get(filter.by) || {}).size) filter.by = null;
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
      if (app.model) changed(false);
    };
    app.clearFilter = () => {
      Object.assign(filter, { fresh: false, arrivals: null, by: null });
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
