// What a visitor may filter by: the folders that works lie in, and the further columns of `artworks.csv`.
//
// Pure. Folders are the facet without a name. From the page's own files counts come with the head and a work's values with
// its block; from a manifest both are found here.
(function (m) {
  'use strict';

  const DEEPEST = 8;

  /** The facets of a model: `[{name, label, numeric, values: [{name, label, count}]}]`, the values of most works first, numbers in their order. */
  m.facetsOf = function (model) {
    const titles = () => new Map((model.manifest.folders || []).map(({ name, title }) => [name, m.printable(title || '')]));
    if (!model.facets) {
      const found = model.manifest.facets || facetsOfWorks(model);
      model.facets = found.map((facet) => {
        const named = facet.name ? new Map() : titles();
        const values = facet.values.map(([name, count]) => ({ name, count,
          label: named.get(name) || m.printable(name) || m.t('chips.unnamed') }));
        // Numbers, years above all, stand in their order.
        const numeric = Boolean(facet.name) && values.length > 0 && values.every(({ name }) => /^-?\d+([.,]\d+)?$/.test(name));
        if (numeric) values.sort((a, b) => parseFloat(a.name.replace(',', '.')) - parseFloat(b.name.replace(',', '.')));
        const label = m.printable(facet.name);
        return { name: facet.name, label: label.slice(0, 1).toUpperCase() + label.slice(1), numeric, values };
      });
    }
    return model.facets;
  };

  function facetsOfWorks(model) {
    const counts = new Map([['', new Map()]]);
    let depth = 0;
    const one = (folder) => model.works.length > 0 && model.works.every((work) => folderAt(work.path, depth) === folder);
    while (depth < DEEPEST && folderAt(model.works[0]?.path, depth) !== undefined && one(folderAt(model.works[0].path, depth))) depth += 1;
    for (const work of model.works) {
      const folder = folderAt(work.path, depth);
      work.values = new Map(folder === undefined ? [] : [['', [folder]]]);
      for (const [name, text] of Object.entries(work.fields || {})) work.values.set(name, m.valuesIn(text));
      for (const [name, values] of work.values) {
        if (!counts.has(name)) counts.set(name, new Map());
        for (const value of values) counts.get(name).set(value, (counts.get(name).get(value) || 0) + 1);
      }
    }
    return [...counts].map(([name, values]) => ({ name,
      values: [...values].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)) }));
  }

  /** The values in a field: several are separated by `;`. */
  m.valuesIn = (text) => [...new Set(String(text).split(';').map((value) => value.trim()).filter(Boolean))];

  function folderAt(path, depth) {
    const parts = (path || '').split('/');
    return depth < parts.length - 1 ? parts[depth] : undefined;
  }

  /** The facets in which a work has none of the chosen values; `chosen` is name → Set. */
  m.facetsAgainst = function (work, chosen) {
    const against = [];
    for (const [name, values] of chosen) {
      const own = work.values && work.values.get(name);
      if (values.size && !(own && own.some((value) => values.has(value)))) against.push(name);
    }
    return against;
  };

  /**
   * How many works of each value are left by all filters but the value's own facet: name → Map(value → count).
   *
   * `passes(index)` says it of the filters that are no facets.
   */
  m.countsWithin = function (model, chosen, passes) {
    const counts = new Map(m.facetsOf(model).map(({ name }) => [name, new Map()]));
    model.works.forEach((work, index) => {
      const against = passes(index) ? m.facetsAgainst(work, chosen) : null;
      if (!against || against.length > 1 || !work.values) return;
      for (const [name, values] of work.values) {
        const own = counts.get(name);
        if (!own || (against.length && against[0] !== name)) continue;
        for (const value of values) own.set(value, (own.get(value) || 0) + 1);
      }
    });
    return counts;
  };
})(window.mosaicd = window.mosaicd || {});
