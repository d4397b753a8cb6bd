// The mini-map: the whole mosaic in a corner, with the part that is seen; a press or a drag goes there.
(function (m) {
  'use strict';

  const SIDE_PX = 148;
  const SIDE_SMALL_PX = 96;

  m.createMinimap = function (app) {
    const root = document.getElementById('minimap');
    const canvas = document.getElementById('minimap-canvas');
    const frame = document.getElementById('minimap-frame');
    const minimap = {};
    let stale = true;
    let scale = 1; // CSS pixels per cell

    /** After tiles arrived, the model, the theme or the filter changed. */
    minimap.invalidate = () => { stale = true; };

    /** Follows the camera; asks for the coarse tiles it needs. */
    minimap.update = (scene) => {
      const { model, camera } = scene;
      const deep = Boolean(model && model.works.length) && camera.scale > camera.fitScale() * 1.35;
      root.classList.toggle('visible', deep);
      if (!deep) return;
      const side = camera.width < 640 ? SIDE_SMALL_PX : SIDE_PX;
      scale = side / Math.max(model.cols, model.rows);
      if (stale) paint(scene);
      const { width, height } = camera.open();
      const left = Math.max(0, camera.x - width / camera.scale / 2);
      const top = Math.max(0, camera.y - height / camera.scale / 2);
      const right = Math.min(model.cols, camera.x + width / camera.scale / 2);
      const bottom = Math.min(model.rows, camera.y + height / camera.scale / 2);
      const w = Math.max(6, (right - left) * scale);
      const h = Math.max(6, (bottom - top) * scale);
      frame.style.width = `${w}px`;
      frame.style.height = `${h}px`;
      frame.style.transform = `translate(${Math.max(0, left * scale)}px, ${Math.max(0, top * scale)}px)`;
    };

    function paint({ model, camera, theme, spare, veil, tint, tiles }) {
      const [w, h] = [model.cols * scale, model.rows * scale];
      root.style.width = `${w}px`;
      root.style.height = `${h}px`;
      [canvas.width, canvas.height] = [Math.ceil(w * camera.dpr), Math.ceil(h * camera.dpr)];
      const context = canvas.getContext('2d', { alpha: false });
      context.fillStyle = theme.background;
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.imageSmoothingQuality = 'high';
      const view = m.frameOf(model, { ox: 0, oy: 0, k: scale * camera.dpr, width: canvas.width, height: canvas.height });
      let missing = false;
      m.paintTiles(context, model, tiles, view, { want: (url) => { missing = true; tiles.want(url, 0.1); } });
      context.imageSmoothingEnabled = true;
      if (spare) context.drawImage(spare, 0, 0, canvas.width, canvas.height);
      context.globalAlpha = 0.8;
      for (const image of [veil.now, tint && tint.veil]) if (image) context.drawImage(image, 0, 0, canvas.width, canvas.height);
      context.globalAlpha = 1;
      stale = missing;
    }

    function go(event) {
      const box = root.getBoundingClientRect();
      const { camera } = app;
      const target = {
        x: (event.clientX - box.left) / scale, y: (event.clientY - box.top) / scale, scale: camera.scale };
      camera.jump(target);
      camera.home = false;
      app.requestFrame();
    }
    root.addEventListener('pointerdown', (event) => {
      root.setPointerCapture(event.pointerId);
      go(event);
    });
    root.addEventListener('pointermove', (event) => { if (root.hasPointerCapture(event.pointerId)) go(event); });

    return minimap;
  };
})(window.mosaicd = window.mosaicd || {});
