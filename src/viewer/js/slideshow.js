// The slide show: from a work to one of those most like it, until somebody touches anything.
(function (m) {
  'use strict';

  const REST_MS = 5200;
  const REMEMBERED = 40; // Works not shown again for this many steps.

  m.createSlideshow = function (app) {
    const slideshow = { on: false };
    const recent = [];
    let timer = 0;

    slideshow.start = () => {
      if (slideshow.on || !app.model || !app.model.works.length) return;
      slideshow.on = true;
      document.body.classList.add('slideshow-on');
      app.close();
      step();
    };
    slideshow.stop = () => {
      if (!slideshow.on) return;
      slideshow.on = false;
      clearTimeout(timer);
      document.body.classList.remove('slideshow-on');
      app.setCaption(null);
    };

    function next() {
      const { works, byId } = app.model;
      const here = works[byId.get(recent[recent.length - 1])];
      const near = here ? (here.neighbours || []).filter((id) => byId.has(id) && !recent.includes(id)) : [];
      // Sometimes any other work: going from like to like alone would never leave a corner of the mosaic.
      if (near.length && Math.random() > 0.15) return works[byId.get(near[Math.floor(Math.random() * near.length)])];
      return works[Math.floor(Math.random() * works.length)];
    }

    function step() {
      if (!slideshow.on) return;
      if (app.model.works.length && !document.hidden) {
        const work = next();
        recent.push(work.id);
        if (recent.length > REMEMBERED) recent.shift();
        const { width, height } = app.camera.open();
        app.flyTo(work, Math.min(width, height) * 0.55, 2.2);
        const name = () => {
          if (!slideshow.on || recent[recent.length - 1] !== work.id) return;
          app.setCaption(m.nameOf(app.workOf(work.id) || work));
          app.announce(m.nameOf(app.workOf(work.id) || work));
        };
        if (app.need(['text', 'near'], [work.id], name)) name();
      }
      timer = setTimeout(step, REST_MS);
    }

    return slideshow;
  };
})(window.mosaicd = window.mosaicd || {});
