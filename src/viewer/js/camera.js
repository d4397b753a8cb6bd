// The camera: which part of the mosaic is seen, and how it glides there.
//
// World units are cells: the work in column 3, row 2 covers 3..4 × 2..3. `scale` is CSS pixels per cell. The point
// (x, y) of the world lies at the middle of the viewport less its insets (an open card covers a part of it).
// Pure arithmetic; time is an argument. Flights follow van Wijk & Nuij, "Smooth and efficient zooming and panning",
// InfoVis 2003, with their rho of about the square root of 2.
(function (m) {
  'use strict';

  const RHO = 1.4;
  const FLIGHT_MS_PER_UNIT = 420;
  const FRICTION_MS = 325; // Time constant of a flick, as in mobile scrolling.
  const ZOOM_MS = 90; // Time constant of a wheel's zoom.

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const ease = (t) => (t < 0.5 ? 4 * t * t * t : 1 - (2 - 2 * t) ** 3 / 2);

  /** A camera over nothing; `resize` and `setWorld` give it something to look at. */
  m.createCamera = function () {
    const camera = {
      x: 0, y: 0, scale: 1,
      width: 1, height: 1, cols: 1, rows: 1, cellPx: 1, dpr: 1,
      /** Share of the screen's pixels that is drawn, per axis: less than 1 only while moving (see `detail.js`). */
      detail: 1,
      inset: { left: 0, top: 0, right: 0, bottom: 0 },
      /** Room for the controls around the whole mosaic, CSS pixels at either side, and above and below. */
      margin: { side: 56, high: 66 },
      /** True while the whole mosaic is shown and should stay so through resizes and growth. */
      home: true,
      /** Longest side of the works' renditions, pixels: with them one may zoom in closer than to one whole work. */
      largePx: 0,
      /** True where the visitor asked for less motion: every glide becomes a cut. */
      reduced: false,
    };
    let velocity = null; // {x, y} CSS pixels per millisecond
    let zoom = null; // {scale, px, py}: eases towards scale, holding the world under (px, py)
    let flight = null;
    let last = 0;

    const open = () => ({
      width: Math.max(40, camera.width - camera.inset.left - camera.inset.right),
      height: Math.max(40, camera.height - camera.inset.top - camera.inset.bottom),
    });
    camera.open = open;
    camera.middle = () => ({
      x: (camera.width + camera.inset.left - camera.inset.right) / 2,
      y: (camera.height + camera.inset.top - camera.inset.bottom) / 2,
    });
    camera.toWorld = (px, py) => {
      const middle = camera.middle();
      return { x: camera.x + (px - middle.x) / camera.scale, y: camera.y + (py - middle.y) / camera.scale };
    };
    camera.toScreen = (x, y) => {
      const middle = camera.middle();
      return { x: (x - camera.x) * camera.scale + middle.x, y: (y - camera.y) * camera.scale + middle.y };
    };

    camera.fitScale = () => {
      // The margin keeps the mosaic off the window's edge and the controls off the art.
      const { side } = camera.margin;
      const high = camera.inset.bottom > 0 ? 12 : camera.margin.high; // Above a sheet the inset has made room already.
      const { width, height } = open();
      return Math.min(Math.max(40, width - 2 * side) / camera.cols, Math.max(40, height - 2 * high) / camera.rows,
        camera.maxScale());
    };
    camera.maxScale = () => {
      const { width, height } = open();
      const whole = Math.min(width, height) * 0.86;
      return Math.max(whole, Math.min(3 * whole, (1.5 * camera.largePx) / camera.dpr), (2 * camera.cellPx) / camera.dpr);
    };
    camera.minScale = () => camera.fitScale() * 0.8;

    function settle() {
      camera.scale = clamp(camera.scale, camera.minScale(), camera.maxScale());
      const { width, height } = open();
      camera.x = hold(camera.x, camera.cols, width / camera.scale);
      camera.y = hold(camera.y, camera.rows, height / camera.scale);
    }
    /**
     * Keeps one coordinate where there is something to see: centred when all fits, free up to the edge deep inside.
     *
     * Half the size times (1 - fit / scale) is how far a zoom about any point of the mosaic leads from its middle.
     */
    function hold(at, size, seen) {
      const spare = Math.max(0, size - seen);
      const zoomed = (size / 2) * Math.max(0, 1 - camera.fitScale() / camera.scale);
      const half = Math.min(size / 2, Math.max(zoomed, spare / 2 + Math.min(seen / 2, spare)));
      return clamp(at, size / 2 - half, size / 2 + half);
    }

    camera.stop = () => { velocity = zoom = flight = null; };
    camera.moving = () => Boolean(velocity || zoom || flight);

    camera.resize = (width, height, dpr) => {
      Object.assign(camera, { width, height, dpr });
      if (camera.home && !flight) camera.fit();
      else settle();
    };
    camera.setWorld = (cols, rows, cellPx) => {
      Object.assign(camera, { cols: Math.max(1, cols), rows: Math.max(1, rows), cellPx });
    };
    /** Changes the insets; what is on screen stays where it is. */
    camera.setInset = (inset) => {
      const before = camera.middle();
      camera.inset = inset;
      const after = camera.middle();
      camera.x += (after.x - before.x) / camera.scale;
      camera.y += (after.y - before.y) / camera.scale;
    };
    /** Moves the world's origin, as an inserted column does; nothing moves on screen. */
    camera.shift = (dx, dy) => {
      camera.x += dx;
      camera.y += dy;
      if (flight) flight.shift(dx, dy);
    };
    camera.jump = ({ x, y, scale }) => {
      camera.stop();
      Object.assign(camera, { x, y, scale });
      settle();
    };
    const homeView = () => ({ x: camera.cols / 2, y: camera.rows / 2, scale: camera.fitScale() });
    camera.fit = () => { camera.jump(homeView()); camera.home = true; };
    camera.flyHome = (now) => { camera.fly(homeView(), now); camera.home = true; };

    camera.panBy = (dx, dy) => {
      camera.home = false;
      camera.x -= dx / camera.scale;
      camera.y -= dy / camera.scale;
      settle();
    };
    camera.flick = (vx, vy, now) => {
      if (camera.reduced || Math.hypot(vx, vy) < 0.05) return;
      velocity = { x: vx, y: vy };
      last = now;
    };
    camera.zoomAt = (px, py, factor) => {
      const scale = clamp(camera.scale * factor, camera.minScale(), camera.maxScale());
      const at = camera.toWorld(px, py);
      const middle = camera.middle();
      camera.home = false;
      camera.scale = scale;
      camera.x = at.x - (px - middle.x) / scale;
      camera.y = at.y - (py - middle.y) / scale;
      settle();
    };
    /** Zooms towards a point over the next frames; calls add up. */
    camera.easeZoom = (px, py, factor, now) => {
      flight = null;
      camera.home = false;
      const from = zoom ? zoom.scale : camera.scale;
      const scale = clamp(from * factor, camera.minScale(), camera.maxScale());
      if (camera.reduced) { camera.zoomAt(px, py, scale / camera.scale); return; }
      if (!zoom && !velocity) last = now;
      zoom = { scale, px, py };
    };

    /** Flies to a view over time, or cuts to it where motion is unwanted. `stretch` slows the flight. */
    camera.fly = (to, now, stretch = 1) => {
      const target = { ...to, scale: clamp(to.scale, camera.minScale(), camera.maxScale()) };
      camera.stop();
      camera.home = false;
      if (camera.reduced) { camera.jump(target); return; }
      const seen = open().width;
      const from = { x: camera.x, y: camera.y, w: seen / camera.scale };
      const path = flightPath(from, { x: target.x, y: target.y, w: seen / target.scale });
      const duration = clamp(path.length * FLIGHT_MS_PER_UNIT, 260, 1500) * stretch;
      flight = { path, target, start: now, duration, seen,
        shift(dx, dy) { from.x += dx; from.y += dy; target.x += dx; target.y += dy; } };
    };

    /** Advances to `now`; false when nothing moves any more. */
    camera.step = (now) => {
      const dt = clamp(now - last, 0, 64);
      last = now;
      if (flight) stepFlight(now);
      if (velocity) stepFlick(dt);
      if (zoom) stepZoom(dt);
      return camera.moving();
    };
    function stepFlight(now) {
      const t = clamp((now - flight.start) / flight.duration, 0, 1);
      if (t === 1) {
        const { target } = flight;
        flight = null;
        Object.assign(camera, target);
        settle();
        return;
      }
      const at = flight.path.at(ease(t));
      Object.assign(camera, { x: at.x, y: at.y, scale: Math.max(flight.seen / at.w, camera.minScale()) });
    }
    function stepFlick(dt) {
      const before = { x: camera.x, y: camera.y };
      const { home } = camera;
      camera.panBy(velocity.x * dt, velocity.y * dt);
      camera.home = home;
      const slow = Math.exp(-dt / FRICTION_MS);
      velocity.x *= slow;
      velocity.y *= slow;
      const stuck = dt > 0 && camera.x === before.x && camera.y === before.y;
      if (stuck || Math.hypot(velocity.x, velocity.y) < 0.01) velocity = null;
    }
    function stepZoom(dt) {
      const { px, py, scale } = zoom;
      const rest = Math.log(scale / camera.scale);
      const done = Math.abs(rest) < 0.002;
      camera.zoomAt(px, py, Math.exp(done ? rest : rest * (1 - Math.exp(-dt / ZOOM_MS))));
      if (done) zoom = null;
    }

    return camera;
  };

  /** The path between two views `{x, y, w}`, `w` the width seen; `shift` of its ends is allowed while it is flown. */
  function flightPath(a, b) {
    const [dx, dy] = [b.x - a.x, b.y - a.y];
    const d2 = dx * dx + dy * dy;
    if (d2 < 1e-9) {
      const length = Math.log(b.w / a.w) / RHO;
      return { length: Math.abs(length), at: (t) => ({ x: a.x, y: a.y, w: a.w * Math.exp(RHO * t * length) }) };
    }
    const d = Math.sqrt(d2);
    const bend = (w, sign) => (b.w * b.w - a.w * a.w + sign * RHO ** 4 * d2) / (2 * w * RHO ** 2 * d);
    const angle = (value) => Math.log(Math.sqrt(value * value + 1) - value);
    const r0 = angle(bend(a.w, 1));
    const length = (angle(bend(b.w, -1)) - r0) / RHO;
    const w0 = a.w;
    return {
      length,
      at(t) {
        const r = RHO * t * length + r0;
        const along = (w0 / (RHO ** 2 * d)) * (Math.cosh(r0) * Math.tanh(r) - Math.sinh(r0)) / d;
        return { x: a.x + along * dx, y: a.y + along * dy, w: (w0 * Math.cosh(r0)) / Math.cosh(r) };
      },
    };
  }
})(window.mosaicd = window.mosaicd || {});
