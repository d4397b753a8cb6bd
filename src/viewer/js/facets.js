// What a visitor may filter by: the folders that works lie in, and the further columns of `artworks.csv`.
//
// Pure. Folders are the facet without a name. From the page's own files counts come with the head and a work's values with
// its block; from a manifest both are found here.
(function (m) {
  'use strict';

  const DEEPEST = 8;

  /** The facets of a model: `[{name, values: [{name, label, count}]}]`, the values of most works first. */
  m.facetsOf = function (model) {
    const titles = () => new Map((model.manifest.folders || []).map(({ name, title }) => [name, m.printable(title || '')]));
    if (!model.facets) {
      const found = model.manifest.facets || facetsOfWorks(model);
      model.facets = found.map((facet) => {
        const named = facet.name ? new Map() : titles();
        const values = facet.values.map(([name, count]) => ({ name, count,
          label: named.get(name) || m.printable(name) || m.t('chips.unnamed') }));
        // Numbers, years above all, stand in their order.
        if (facet.name && values.every(({ name }) => /^-?\d+([.,]\d+)?$/.test(name))) values.sort((a, b) => parseFloat(a.name) - parseFloat(b.name));
        const label = m.printable(facet.name);
        return { name: facet.name, label: label.slice(0, 1).toUpperCase() + label.slice(1), values };
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

  /** The values in a field: several are parted by `;`. */
  m.valuesIn = (text) => [...new Set(String(text).split(';').map((value) => value.trim()).filter(Boolean))];

  function folderAt(path, depth) {
    const parts = (path || '').split('/');
    return depth < parts.length - 1 ? parts[depth] : undefined;
  }

  /** Whether a work has, in every chosen facet, one of the chosen values; `chosen` is name → Set. */
  m.hasChosen = function (work, chosen) {
    for (const [name, values] of chosen) {
      const own = work.values && work.values.get(name);
      if (values.size && !(own && own.some((value) => values.has(value)))) return false;
    }
    return true;
  };
})(window.mosaicd = window.mosaicd || {});
