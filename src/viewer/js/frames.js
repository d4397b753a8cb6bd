// When a frame is drawn, with how much detail, and how the canvas follows the window.
(function (m) {
  'use strict';

  const KEPT_FRAMES = 600;
  const byId = (id) => document.getElementById(id);

  /**
   * The frame loop of `app`: `request()` asks for one frame, `resize()` follows the window, `drawNow()` draws in full
   * detail at once, `layoutChanged()` measures the controls around the mosaic.
   */
  m.createFrames = function (app, scene, painter) {
    const { camera, tiles } = app;
    const detail = m.createDetail();
    const frames = {};
    let masthead = { right: 0, bottom: 0 }; // Where the title lies, CSS pixels.
    let lastView = '';
    let movedAt = -1e9;
    let restTimer = 0;
    let asked = false;

    frames.request = () => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(draw);
    };

    function draw(now) {
      asked = false;
      const began = performance.now();
      const { generations } = app;
      const moving = camera.step(now);
      const coarse = moved(now, moving) && !scene.transition && !generations.waiting();
      setDetail(detail.share(camera.dpr, coarse, now));
      scene.hurry = detail.hurry(coarse, now);
      if (scene.hurry) restSoon();
      if (moving && scene.transition && scene.transition.still) generations.endTransition();
      scene.rings = rings();
      tiles.begin();
      const lowest = app.model && app.model.cols ? app.model.pyramid.url(app.model.pyramid.min, 0, 0) : '';
      tiles.want(lowest, -1); // A picture of the whole is the first to come; no names stand over nothing.
      scene.names = app.names && !app.dimmed() && !app.slideshow.on && tiles.settled(lowest);
      const again = painter.draw(scene, now);
      if (scene.transition && !again) generations.endTransition();
      generations.want();
      app.thumbs.want();
      app.minimap.update(scene);
      tiles.pump();
      app.hover.place();
      document.body.classList.toggle('deep', !camera.home && camera.scale > camera.fitScale() * 1.05);
      const corner = camera.toScreen(0, 0);
      document.body.classList.toggle('crowded', corner.x < masthead.right && corner.y < masthead.bottom);
      app.frameTimes.push(performance.now() - began);
      if (app.frameTimes.length > KEPT_FRAMES) app.frameTimes.shift();
      if (moving || again) frames.request();
      else app.address.save();
    }

    /** Whether the view moves, by a flight or by hand; measures the time between the frames of the motion. */
    function moved(now, moving) {
      const view = `${camera.x} ${camera.y} ${camera.scale}`;
      const changed = view !== lastView;
      lastView = view;
      if (changed) {
        movedAt = now;
        requestAnimationFrame((next) => detail.measured(next - now, next));
      }
      return moving || now - movedAt < detail.REST_MS;
    }

    /** Draws this share of the screen's pixels from now on. */
    function setDetail(share) {
      clearTimeout(restTimer);
      if (share < 1) restSoon();
      if (camera.detail === share) return;
      camera.detail = share;
      const dpr = m.drawnDpr(camera);
      painter.resize(Math.round(innerWidth * dpr), Math.round(innerHeight * dpr));
    }

    /** At rest all is drawn in full. */
    function restSoon() {
      clearTimeout(restTimer);
      restTimer = setTimeout(frames.request, detail.REST_MS + 10);
    }

    frames.drawNow = () => {
      if (camera.detail === 1) return;
      setDetail(1);
      painter.draw(scene, performance.now());
    };

    function rings() {
      const list = [];
      const { model, hover } = app;
      if (!model) return list;
      const add = (id, colour, width) => {
        const work = model.works[model.byId.get(id)];
        if (work) list.push({ col: work.col, row: work.row, colour, width });
      };
      if (hover.at && camera.scale > 6) add(hover.at.id, 'rgba(255,255,255,.9)', 1.5);
      if (app.card.id !== null) add(app.card.id, scene.theme.accent, 3);
      if (app.cursorVisible) list.push({ ...app.cursor, colour: '#fff', width: 2.5 });
      return list;
    }

    frames.resize = () => {
      const dpr = Math.min(devicePixelRatio || 1, 4);
      camera.detail = 1;
      painter.resize(Math.round(innerWidth * dpr), Math.round(innerHeight * dpr));
      measure();
      camera.resize(innerWidth, innerHeight, dpr);
      camera.setInset(app.card.covered());
      app.minimap.invalidate();
      // Changing a canvas's size clears it: drawn at once, or the page would flash.
      if (scene.theme) draw(performance.now());
    };

    /** The controls at the edges have changed their size: the whole mosaic is shown between them. */
    frames.layoutChanged = () => {
      measure();
      if (camera.home && !camera.moving()) camera.fit();
      frames.request();
    };

    function measure() {
      masthead = byId('masthead').getBoundingClientRect();
      scene.rem = parseFloat(getComputedStyle(document.documentElement).fontSize) || 16;
      const narrow = innerWidth < 40 * scene.rem;
      const controls = Math.max(masthead.bottom, byId('tools').getBoundingClientRect().bottom) + 8;
      // In a low window a tall row of controls may lie over the mosaic rather than leave no room for it.
      const high = Math.min(Math.max(controls, (narrow ? 4.6 : 4.1) * scene.rem), 0.17 * innerHeight);
      camera.margin = { side: narrow ? 12 : Math.min(56, 0.06 * innerWidth), high };
    }

    return frames;
  };
})(window.mosaicd = window.mosaicd || {});
