// One work as large as the window: the original where it is served, else the best that the pyramid holds.
//
// A modal dialog, so that keys and screen readers stay in it; arrows lead through the works most like it.
(function (m) {
  'use strict';

  const byId = (id) => document.getElementById(id);

  /** The large view of `app`; `open()` shows the card's work, `isOpen()`. */
  m.createLarge = function (app) {
    const root = byId('large');
    const crop = byId('large-crop');
    const original = m.pictureIn(root, 'large-original');
    crop.after(original);
    const large = { isOpen: () => root.open };

    /** Shows the work of the open card. */
    large.open = () => {
      const work = app.model && app.model.works[app.model.byId.get(app.card.id)];
      if (!work) return;
      app.need(['text'], [work.id], () => { if (root.open && app.card.id === work.id) large.open(); });
      byId('large-name').textContent = m.nameOf(work);
      app.thumbs.show(crop, work.id, Math.min(innerWidth, innerHeight, app.camera.cellPx * 2));
      const url = m.originalOf(app.model, work);
      original.classList.remove('here');
      original.removeAttribute('src');
      if (url) original.src = url;
      original.alt = m.nameOf(work);
      if (!root.open) root.showModal();
    };
    original.addEventListener('load', () => original.classList.add('here'));
    original.addEventListener('error', () => original.classList.remove('here'));
    root.addEventListener('click', () => root.close());
    root.addEventListener('close', () => {
      original.removeAttribute('src');
      app.thumbs.release(crop);
    });
    root.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step) {
        walk(step);
        event.preventDefault();
      } else if (event.key === 'Enter' || event.key === ' ') root.close();
      event.stopPropagation(); // The page's own keys rest meanwhile; Escape is the dialog's.
    });

    /** To the work beside this one in reading order. */
    function walk(step) {
      const { model } = app;
      const work = model.works[model.byId.get(app.card.id)];
      if (!work) return;
      const cells = model.cols * model.rows;
      for (let i = 1; i < cells; i += 1) {
        const at = (work.row * model.cols + work.col + step * i + cells * i) % cells;
        const index = model.indexAt(at % model.cols, Math.floor(at / model.cols));
        if (index >= 0) {
          app.open(model.works[index].id, { quiet: true });
          large.open();
          return;
        }
      }
    }

    return large;
  };
})(window.mosaicd = window.mosaicd || {});
