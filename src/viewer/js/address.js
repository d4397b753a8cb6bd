// The page's address: links to a work (`#work=17`, `#path=folder/name.png`) and to a view (`#view=17,0.2,-0.4,6.5`).
//
// A view is told relative to the work nearest its middle (offset in cells, then how many cells fit across the shorter
// side), so a link stays true when the mosaic grows or is sorted anew.
(function (m) {
  'use strict';

  /** `{work}`, `{path}`, `{view: {id, dx, dy, across}}`, `{wander: true}` or {} from a location hash. */
  m.parseAddress = function (hash) {
    const [, key, value] = /^#?(work|path|view|wander)(?:=(.*))?$/s.exec(hash) || [];
    if (key === 'wander') return { wander: true };
    if (!value) return {};
    if (key === 'work') return /^\d+$/.test(value) ? { work: Number(value) } : {};
    if (key === 'path') {
      try { return { path: decodeURIComponent(value) }; } catch { return {}; }
    }
    const [id, dx, dy, across] = value.split(',').map(Number);
    return [id, dx, dy, across].every(Number.isFinite) && across > 0 ? { view: { id, dx, dy, across } } : {};
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
})(window.mosaicd = window.mosaicd || {});
