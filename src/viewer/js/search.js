// Search: type-ahead in a combobox (WAI-ARIA authoring practices, "editable combobox with list autocomplete"), while the
// mosaic dims every work that does not match. Works match by name, and where a vocabulary was published by what they look
// like.
(function (m) {
  'use strict';

  const LISTED = 40;
  const NAMED = 24; // Works listed by name at most, where others are listed by what they look like.
  const byId = (id) => document.getElementById(id);

  m.createSearch = function (app) {
    const panel = byId('search');
    const input = byId('search-input');
    const list = byId('search-list');
    const status = byId('search-status');
    const search = {};
    let found = [];
    let active = -1;
    let opener = null;
    let looks = { text: '', words: [] }; // What `text` looks like, as far as it is known.
    input.placeholder = m.t('search');
    const roles = [[input, { role: 'combobox', 'aria-expanded': 'false', 'aria-autocomplete': 'list', 'aria-controls': list.id }],
      [list, { role: 'listbox', 'aria-label': m.t('search.works') }]];
    for (const [part, values] of roles) for (const [name, value] of Object.entries(values)) part.setAttribute(name, value);

    search.isOpen = () => !panel.hidden;
    /** What is searched for now. */
    search.text = () => (search.isOpen() ? input.value.trim() : '');
    search.open = (text) => {
      if (!app.model) return;
      if (text) input.value = text;
      opener = document.activeElement;
      panel.hidden = false;
      document.body.classList.add('search-open');
      input.select();
      input.focus();
      update();
    };
    search.close = () => {
      if (panel.hidden) return;
      panel.hidden = true;
      document.body.classList.remove('search-open');
      clear();
      app.setMatches(null);
      app.address.save();
      if (panel.contains(document.activeElement) || document.activeElement === document.body) {
        (opener && opener.isConnected ? opener : app.canvas).focus({ preventScroll: true });
      }
    };
    /** After a new generation. */
    search.refresh = () => { if (search.isOpen()) update(); };

    function clear() {
      for (const canvas of list.querySelectorAll('canvas')) app.thumbs.release(canvas);
      list.replaceChildren();
      found = [];
      setActive(-1);
    }

    function update() {
      const text = input.value;
      const here = app.need(['text'], null, () => search.refresh());
      if (!here) { status.textContent = m.t('search.loading'); return; }
      show(text, looks.text === text ? looks.words : []);
      askLooks(text);
    }

    /** Asks what works look like the text, and shows them where they are others than those that are shown. */
    function askLooks(text) {
      const { parts } = app.model.manifest;
      if (!parts || !text.trim()) return;
      parts.looksLike(text).then((words) => {
        const before = looks.text === text ? looks.words : [];
        looks = { text, words };
        if (JSON.stringify(before) !== JSON.stringify(words) && search.isOpen() && input.value === text) show(text, words);
      }).catch((error) => console.warn('mosaicd:', error));
    }

    function show(text, words) {
      const { best, all } = m.searchWorks(app.model, text, LISTED);
      const matches = new Set(all);
      const listed = best.slice(0, words.length ? NAMED : LISTED).map((index) => ({ index }));
      for (const { word, ids } of words) {
        const like = ids.map((id) => app.model.byId.get(id)).filter((index) => index !== undefined && !matches.has(index));
        for (const index of like) {
          matches.add(index);
          if (listed.length < LISTED) listed.push({ index, word });
        }
      }
      clear();
      found = listed.map(({ index }) => app.model.works[index].id);
      list.replaceChildren(...listed.map(({ index, word }, i) => row(app.model.works[index], text, i, word)));
      list.hidden = !listed.length;
      input.setAttribute('aria-expanded', String(listed.length > 0));
      status.textContent = text.trim() ? m.t(matches.size ? 'works' : 'search.none', { n: matches.size }) : '';
      app.setMatches(text.trim() ? matches : null);
      setActive(listed.length ? 0 : -1);
    }

    function row(work, text, i, word) {
      const item = document.createElement('li');
      const canvas = document.createElement('canvas');
      const label = document.createElement('span');
      const name = document.createElement('span');
      const where = document.createElement('span');
      item.id = `search-${i}`;
      item.setAttribute('role', 'option');
      item.setAttribute('aria-selected', 'false');
      label.className = 'label';
      name.className = 'name';
      name.dir = where.dir = 'auto';
      where.className = 'where';
      name.append(...marked(m.nameOf(work), text));
      where.textContent = word ? m.t('search.looks', { word }) : m.pathOf(work);
      label.append(name, where);
      item.append(canvas, label);
      item.addEventListener('pointerdown', (event) => event.preventDefault()); // Keeps the focus in the field.
      item.addEventListener('click', () => choose(i));
      item.addEventListener('pointermove', () => { if (active !== i) setActive(i, false); });
      app.thumbs.show(canvas, work.id, 44);
      return item;
    }

    /** The name in parts, the first place that matches the text wrapped in `<mark>`. */
    function marked(name, text) {
      const query = text.trim().toLowerCase();
      const start = query ? name.toLowerCase().indexOf(query) : -1;
      if (start < 0) return [name];
      const mark = document.createElement('mark');
      mark.textContent = name.slice(start, start + query.length);
      return [name.slice(0, start), mark, name.slice(start + query.length)];
    }

    function setActive(i, scroll = true) {
      const before = list.children[active];
      if (before) before.setAttribute('aria-selected', 'false');
      active = i;
      const now = list.children[i];
      if (!now) { input.removeAttribute('aria-activedescendant'); return; }
      now.setAttribute('aria-selected', 'true');
      input.setAttribute('aria-activedescendant', now.id);
      if (scroll) now.scrollIntoView({ block: 'nearest' });
    }

    function choose(i) {
      const id = found[i];
      if (id === undefined) return;
      opener = app.canvas;
      search.close();
      app.open(id, { fly: true });
    }

    input.addEventListener('input', () => { update(); app.address.save(); });
    input.addEventListener('keydown', (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 6, PageUp: -6 }[event.key];
      if (step && found.length) {
        const wrap = Math.abs(step) === 1;
        const next = wrap ? (active + step + found.length) % found.length
          : Math.max(0, Math.min(found.length - 1, active + step));
        setActive(next);
      } else if (event.key === 'Enter') choose(active);
      else if (event.key === 'Escape') search.close();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    byId('search-close').addEventListener('click', search.close);
    panel.addEventListener('pointerdown', (event) => { if (event.target === panel) search.close(); });

    return search;
  };
})(window.mosaicd = window.mosaicd || {});
