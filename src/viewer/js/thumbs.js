// Small pictures of single works, cut from the pyramid: in the card, the search list and the hover label.
//
// A thumb shows the best piece that is loaded at once and sharpens when the right tile arrives. Works are named by id,
// so a thumb survives a new generation that moves its work.
(function (m) {
  'use strict';

  /** `app` gives the current `model`, `tiles` and `requestFrame()`. */
  m.createThumbs = function (app) {
    const live = new Map(); // canvas → {id, key, exact}
    const thumbs = {};

    /** Shows work `id` in `canvas`, `size` CSS pixels a side. */
    thumbs.show = (canvas, id, size) => {
      const px = Math.round(size * Math.min(app.camera.dpr, 2));
      if (canvas.width !== px || canvas.height !== px) [canvas.width, canvas.height] = [px, px];
      const before = live.get(canvas);
      if (!before || before.id !== id) {
        canvas.getContext('2d').clearRect(0, 0, px, px);
        live.set(canvas, { id, exact: false, picture: '' });
      }
      draw(canvas);
      app.requestFrame();
    };
    thumbs.release = (canvas) => live.delete(canvas);
    /** After tiles arrived or the model changed. */
    thumbs.refresh = (modelChanged) => {
      for (const [canvas, state] of live) {
        if (modelChanged) state.exact = false;
        if (!state.exact) draw(canvas);
      }
    };
    /** Says again, for this frame, which tiles are missing. */
    thumbs.want = () => {
      for (const [canvas, state] of live) if (!state.exact) look(canvas, state, (url) => app.tiles.want(url, 0.5));
    };

    function look(canvas, state, want) {
      const { model } = app;
      const work = model && model.works[model.byId.get(state.id)];
      if (!work) return null;
      return m.cellPieces(model, app.tiles, work.col, work.row, m.levelFor(model.pyramid, canvas.width), want);
    }

    function draw(canvas) {
      const state = live.get(canvas);
      const found = look(canvas, state, null);
      if (!found || !found.pieces.length) return;
      const context = canvas.getContext('2d');
      context.imageSmoothingQuality = 'high';
      m.drawPieces(context, found.pieces, 0, 0, canvas.width, canvas.height);
      state.exact = found.exact;
    }

    return thumbs;
  };
})(window.mosaicd = window.mosaicd || {});
