// The page's address: links to a work (`#work=17`, `#path=folder/name.png`) and to a view (`#view=17,0.2,-0.4,6.5`), and
// `#slideshow` (`#wander` in version 0.1); after any of them, or alone, what is filtered by and searched for
// (`#only=year:1900&find=sea`), and the column that colours works (`&by=year`).
//
// A view is given relative to the work nearest its middle (offset in cells, then how many cells fit across the shorter
// side), so that a link stays true when the mosaic grows or changes its order.
(function (m) {
  'use strict';

  /** `{work}`, `{path}`, `{view: {id, dx, dy, across}}`, `{slideshow: true}` or {} from a location hash. */
  m.parseAddress = function (hash) {
    const [, key, value] = /^#?(work|path|view|slideshow|wander)(?:=(.*))?$/s.exec(hash) || [];
    if (key === 'slideshow' || key === 'wander') return { slideshow: true };
    if (!value) return {};
    if (key === 'work') return /^\d+$/.test(value) ? { work: Number(value) } : {};
    if (key === 'path') {
      try { return { path: decodeURIComponent(value) }; } catch { return {}; }
    }
    const [id, dx, dy, across] = value.split(',').map(Number);
    return [id, dx, dy, across].every(Number.isFinite) && across > 0 ? { view: { id, dx, dy, across } } : {};
  };

  /** The page's own address, without what follows `#` and without the wish to be embedded. */
  m.pageAddress = () => location.href.split('#')[0].replace(/\?embed$/, '');

  const decoded = (text) => { try { return decodeURIComponent(text); } catch { return ''; } };
  const FURTHER = /[#&](?:only|find|by)=[^&]*/g;

  /** `{only: [[facet, value]], find, by}` of a location hash, and `{main}`, the rest. */
  m.parseFurther = function (hash) {
    const only = [...hash.matchAll(/[#&]only=([^&:]*):([^&]*)/g)].map(([, name, value]) => [decoded(name), decoded(value)]);
    const [, find = ''] = /[#&]find=([^&]*)/.exec(hash) || [];
    const [, by] = /[#&]by=([^&]*)/.exec(hash) || [];
    return { only, find: decoded(find), by: by === undefined ? null : decoded(by), main: hash.replace(FURTHER, '') };
  };

  const short = (value) => String(Math.round(value * 1000) / 1000);

  /** The address of what the camera sees, '' for the whole mosaic. */
  m.viewAddress = function (model, camera) {
    if (camera.home || !model.works.length) return '';
    const work = nearestWork(model, camera.x, camera.y);
    if (!work) return '';
    const { width, height } = camera.open();
    const across = Math.min(width, height) / camera.scale;
    return `#view=${work.id},${short(camera.x - work.col)},${short(camera.y - work.row)},${short(across)}`;
  };

  /** The camera view that an address names, or null where its work is gone. */
  m.viewFromAddress = function (model, camera, { id, dx, dy, across }) {
    const work = model.works[model.byId.get(id)];
    if (!work) return null;
    const { width, height } = camera.open();
    return { x: work.col + dx, y: work.row + dy, scale: Math.min(width, height) / across };
  };

  /** The work in, or in rings around, the cell at (x, y). */
  function nearestWork(model, x, y) {
    const clamp = (value, count) => Math.max(0, Math.min(count - 1, Math.floor(value)));
    const [col, row] = [clamp(x, model.cols), clamp(y, model.rows)];
    for (let ring = 0; ring < Math.max(model.cols, model.rows); ring += 1) {
      for (let r = row - ring; r <= row + ring; r += 1) {
        const step = Math.abs(r - row) === ring ? 1 : 2 * ring || 1;
        for (let c = col - ring; c <= col + ring; c += step) {
          const index = model.indexAt(c, r);
          if (index >= 0) return model.works[index];
        }
      }
    }
    return null;
  }
  m.nearestWork = nearestWork;

  /** Keeps the page's address and `app`'s view in step: `push(hash)`, `save(atOnce)`, `follow(first)`. */
  m.attachAddress = function (app) {
    const { camera } = app;
    let timer = 0;
    let written = '';

    /** An address with what is filtered by and searched for. */
    function withFurther(main) {
      const parts = app.chosen().map(([name, value]) => `only=${encodeURIComponent(name)}:${encodeURIComponent(value)}`);
      if (app.colouredBy() !== null) parts.push(`by=${encodeURIComponent(app.colouredBy())}`);
      const find = app.search.text();
      if (find) parts.push(`find=${encodeURIComponent(find)}`);
      return main || parts.length ? (main || '#') + (main && parts.length ? '&' : '') + parts.join('&') : '';
    }
    /** A new entry in the history. */
    function push(main) {
      const hash = withFurther(main);
      if (location.hash === hash) return;
      written = hash;
      try { history.pushState(null, '', hash); } catch { /* some browsers keep no history for files */ }
    }
    /** Makes the address say what is seen, once the view rests. */
    function save(atOnce) {
      clearTimeout(timer);
      if (!app.model || app.model.loading) return;
      timer = setTimeout(() => {
        const hash = withFurther(app.card.id !== null ? `#work=${app.card.id}` : m.viewAddress(app.model, camera));
        if (app.slideshow.on || hash === location.hash) return;
        written = hash;
        try { history.replaceState(null, '', hash || location.pathname + location.search); } catch { /* as above */ }
      }, atOnce ? 0 : 300);
    }
    /** Goes where the address says; `first` cuts there. */
    function follow(first) {
      const { main, only, find, by } = m.parseFurther(location.hash);
      const target = m.parseAddress(main);
      const { model } = app;
      if (target.path !== undefined && !app.need(['text'], null, () => follow(first))) return;
      app.choose(only, by);
      if (find && find !== app.search.text()) app.search.open(find);
      const work = target.path !== undefined ? model.works.find(({ path }) => path === target.path)
        : model.works[model.byId.get(target.work)];
      if (target.slideshow) app.slideshow.start();
      else if (work) {
        const { reduced } = camera;
        camera.reduced = reduced || first;
        app.open(work.id, { fly: true, quiet: true });
        camera.reduced = reduced;
      } else if (target.work !== undefined || target.path !== undefined) app.notify(m.t('notice.absent'));
      else {
        app.close();
        const view = target.view && m.viewFromAddress(model, camera, target.view);
        if (view && first) { camera.jump(view); camera.home = false; }
        else if (view) camera.fly(view, performance.now());
        else if (!first) camera.flyHome(performance.now());
      }
      app.requestFrame();
    }
    addEventListener('hashchange', () => { if (app.model && !app.model.loading && location.hash !== written) follow(false); });
    addEventListener('popstate', () => { written = null; });
    return { push, save, follow };
  };
})(window.mosaicd = window.mosaicd || {});
