// What the pointer (or the work cursor) is over, and the label that names it.
(function (m) {
  'use strict';

  const SMALL_PX = 64; // A work smaller than this on screen is shown larger next to the pointer.
  const byId = (id) => document.getElementById(id);

  /** The hover of `app`: `at` is `{id, x, y}`, `{id, byKey: true}` or null. */
  m.createHover = function (app) {
    const { camera, canvas } = app;
    const label = byId('label');
    const name = byId('label-name');
    const picture = byId('label-picture');
    let labelled = null;
    let pointer = null;
    const hover = { at: null };

    /** The work under a point of the window, or null. */
    hover.workAt = (x, y) => {
      if (!app.model) return null;
      const at = camera.toWorld(x, y);
      return app.model.works[app.model.indexAt(Math.floor(at.x), Math.floor(at.y))] || null;
    };

    /** The pointer is at a point, or has left (x null). */
    hover.move = (x, y) => {
      pointer = x === null ? null : { x, y };
      follow();
      if (hover.at) app.cursorVisible = false;
      app.requestFrame();
    };

    /** The work that is under the pointer now: the mosaic may have moved below it. */
    function follow() {
      const work = pointer && hover.workAt(pointer.x, pointer.y);
      hover.at = work ? { id: work.id, ...pointer } : null;
      canvas.classList.toggle('over', Boolean(work));
    }

    /** Puts the label where it belongs in this frame. */
    hover.place = () => {
      if (!(hover.at && hover.at.byKey)) follow();
      const { at } = hover;
      const work = at && app.model && app.model.works[app.model.byId.get(at.id)];
      const named = Boolean(work) && app.need(['text'], [at.id], app.requestFrame);
      const show = named && !camera.moving() && !app.slideshow.on && at.id !== app.card.id;
      label.classList.toggle('visible', show);
      if (!show) { labelled = null; app.thumbs.release(picture); return; }
      const small = camera.scale < SMALL_PX;
      if (labelled !== at.id + small) {
        labelled = at.id + small;
        name.textContent = m.nameOf(work);
        picture.hidden = !small;
        if (small) app.thumbs.show(picture, at.id, 112);
        else app.thumbs.release(picture);
      }
      const spot = at.byKey ? camera.toScreen(work.col + 0.5, work.row + 1) : at;
      const box = label.getBoundingClientRect();
      const x = Math.max(8, Math.min(spot.x + 16, camera.width - camera.inset.right - box.width - 8));
      const below = spot.y + 20;
      const y = below + box.height + 8 > camera.height ? spot.y - box.height - 14 : below;
      label.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
    };

    return hover;
  };
})(window.mosaicd = window.mosaicd || {});
