// The row of filter chips: new this week, just arrived, folders, and one for each further column, which opens its values and
// the colours that works have by it. Counts are of the works that the other filters leave.
(function (m) {
  'use strict';

  const FOLDERS = 60;
  const byId = (id) => document.getElementById(id);

  /**
   * Draws the chips. More than one value may be on: of one column any of them, of several columns all must fit.
   *
   * `filter` is `{fresh, arrivals: Set|null, chosen: Map(facet → Set), by: facet|null}`; `onChange()` after a press.
   */
  m.createChips = function (filter, onChange) {
    const root = byId('chips');
    const panel = byId('facet');
    const list = byId('facet-values');
    const colours = byId('facet-colours');
    let opened = null; // The column whose values are shown.
    let shown = null;

    function chip(label, count, pressed, press, kind) {
      const button = document.createElement('button');
      const name = document.createElement('bdi');
      button.type = 'button';
      button.className = `chip ${kind}`;
      button.setAttribute('aria-pressed', String(pressed));
      name.className = 'chip-name';
      name.textContent = label;
      button.append(name);
      if (count !== null) {
        button.classList.toggle('none', !count && !pressed);
        const number = document.createElement('span');
        number.className = 'chip-count';
        number.textContent = m.formatCount(count);
        button.append(' ', number);
      }
      button.addEventListener('click', () => { press(); onChange(); });
      return button;
    }

    /** A chip that turns a value of a facet on or off. */
    function valueChip(facet, { name, label, count }, kind) {
      const on = filter.chosen.get(facet) || new Set();
      const left = shown.counts ? shown.counts.get(facet).get(name) || 0 : count;
      const button = chip(label, left, on.has(name), () => {
        filter.chosen.set(facet, on);
        if (!on.delete(name)) on.add(name);
      }, kind);
      if (facet && facet === filter.by) button.prepend(m.swatch(shown.colours.of(name)));
      return button;
    }

    /** A chip that shows the values of a column. */
    function opener(facet) {
      const button = chip(facet.label, null, false, () => {}, 'column');
      button.removeAttribute('aria-pressed');
      button.setAttribute('aria-expanded', String(opened === facet.name));
      button.setAttribute('aria-controls', 'facet');
      button.addEventListener('click', () => { open(opened === facet.name ? null : facet.name); });
      if (facet.name === filter.by) m.paintLegend(button, shown.colours);
      return button;
    }
    function open(name) {
      opened = name;
      draw(shown);
      if (name !== null && list.firstChild) list.firstChild.focus({ preventScroll: true });
    }
    colours.addEventListener('click', () => {
      filter.by = filter.by === opened ? null : opened;
      onChange();
    });
    byId('facet-close').addEventListener('click', () => {
      const before = root.querySelector('[aria-expanded="true"]');
      const at = [...root.children].indexOf(before);
      open(null);
      root.children[Math.max(0, at)].focus();
    });
    panel.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      byId('facet-close').click();
      event.stopPropagation();
    });

    function redraw(parent, chips) {
      const focused = [...parent.children].indexOf(document.activeElement);
      const [left, top] = [parent.scrollLeft, parent.scrollTop];
      parent.replaceChildren(...chips);
      [parent.scrollLeft, parent.scrollTop] = [left, top];
      if (focused >= 0 && chips.length) chips[Math.min(focused, chips.length - 1)].focus();
    }

    /**
     * `facts`: `{fresh: count|null, facets: [{name, label, values: [{name, label, count}]}], counts, colours}`; counts are
     * those within the other filters, colours those of the column that colours works; either may be null.
     */
    function draw(facts) {
      shown = facts;
      const chips = [];
      if (filter.arrivals) {
        chips.push(chip(m.t('chips.arrived'), filter.arrivals.size, true, () => { filter.arrivals = null; }, 'fresh'));
      }
      if (facts.fresh !== null) {
        chips.push(chip(m.t('chips.fresh'), facts.fresh, filter.fresh, () => { filter.fresh = !filter.fresh; }, 'fresh'));
      }
      const columns = facts.facets.filter((facet) => facet.name && facet.values.length);
      for (const facet of columns) {
        chips.push(opener(facet));
        const on = filter.chosen.get(facet.name);
        for (const value of facet.values) if (on && on.has(value.name)) chips.push(valueChip(facet.name, value, 'value'));
      }
      const folders = facts.facets.find((facet) => !facet.name);
      for (const value of (folders ? folders.values : []).slice(0, FOLDERS)) chips.push(valueChip('', value, 'folder'));
      redraw(root, chips);
      root.hidden = !chips.length;
      const facet = columns.find(({ name }) => name === opened);
      if (!facet) opened = null;
      panel.hidden = !facet;
      byId('facet-name').textContent = facet ? facet.label : '';
      colours.setAttribute('aria-pressed', String(Boolean(facet) && facet.name === filter.by));
      redraw(list, facet ? facet.values.map((value) => valueChip(facet.name, value, 'value')) : []);
    }
    return draw;
  };
})(window.mosaicd = window.mosaicd || {});
