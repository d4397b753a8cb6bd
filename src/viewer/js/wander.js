// Wander: the mosaic shows itself, from a work to one of its likes, until somebody touches anything.
(function (m) {
  'use strict';

  const REST_MS = 5200;
  const REMEMBERED = 40; // Works not shown again for this many steps.

  m.createWander = function (app) {
    const wander = { on: false };
    const recent = [];
    let timer = 0;

    wander.start = () => {
      if (wander.on || !app.model || !app.model.works.length) return;
      wander.on = true;
      document.body.classList.add('wandering');
      app.close();
      step();
    };
    wander.stop = () => {
      if (!wander.on) return;
      wander.on = false;
      clearTimeout(timer);
      document.body.classList.remove('wandering');
      app.setCaption(null);
    };

    function next() {
      const { works, byId } = app.model;
      const here = works[byId.get(recent[recent.length - 1])];
      const near = here ? (here.neighbours || []).filter((id) => byId.has(id) && !recent.includes(id)) : [];
      // Now and then a leap, or a walk among likes would never leave its corner.
      if (near.length && Math.random() > 0.15) return works[byId.get(near[Math.floor(Math.random() * near.length)])];
      return works[Math.floor(Math.random() * works.length)];
    }

    function step() {
      if (!wander.on) return;
      if (app.model.works.length && !document.hidden) {
        const work = next();
        recent.push(work.id);
        if (recent.length > REMEMBERED) recent.shift();
        const { width, height } = app.camera.open();
        app.flyTo(work, Math.min(width, height) * 0.55, 2.2);
        app.setCaption(m.nameOf(work));
        app.announce(m.nameOf(work));
      }
      timer = setTimeout(step, REST_MS);
    }

    return wander;
  };
})(window.mosaicd = window.mosaicd || {});
