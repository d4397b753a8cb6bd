// The detail card: one work large, what is known of it, and the works most like it.
//
// All text goes in through textContent: names come from strangers.
(function (m) {
  'use strict';

  const LIKE_THIS = 8;
  const byId = (id) => document.getElementById(id);

  /** `412 KB`, in steps of 1000 as file managers count. */
  m.formatBytes = function (bytes) {
    if (!(bytes >= 0)) return '';
    const power = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
    const value = bytes / 1000 ** power;
    const digits = value < 10 && power ? 1 : 0;
    const number = value.toLocaleString(m.locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return `${number} ${m.t('bytes').split(' ')[power]}`;
  };

  /** `3 days ago`, or '' for what is no time. */
  m.formatAgo = function (then, now) {
    const seconds = (then - now) / 1000;
    if (!Number.isFinite(seconds)) return '';
    const steps = [['year', 31557600], ['month', 2629800], ['week', 604800], ['day', 86400], ['hour', 3600], ['minute', 60]];
    const [unit, size] = steps.find(([, length]) => Math.abs(seconds) >= length) || ['minute', 60];
    const count = Math.min(0, Math.trunc(seconds / size));
    return count === 0 ? m.t('card.now') : new Intl.RelativeTimeFormat(m.locale, { numeric: 'auto' }).format(count, unit);
  };

  /** Where the card is a sheet from below, as in `viewer.css`: a narrow window that is higher than wide. */
  m.SHEET = '(max-width: 47.5em) and (orientation: portrait)';

  /** An image in `parent` without an address yet, which markup cannot hold. */
  m.pictureIn = function (parent, id) {
    const image = document.createElement('img');
    Object.assign(image, { id, alt: '', decoding: 'async', referrerPolicy: 'no-referrer' });
    parent.append(image);
    return image;
  };

  /** The card of `app`; `show(work)`, `hide()`, `covered()` says how much of the window it takes. */
  m.createCard = function (app) {
    const root = byId('card');
    const crop = byId('card-crop');
    const original = m.pictureIn(byId('card-picture'), 'card-original');
    const like = byId('card-like');
    const card = { id: null };

    card.show = (work) => {
      const { model } = app;
      const fresh = card.id !== work.id;
      card.id = work.id;
      const again = () => { if (card.id === work.id && app.workOf(card.id)) { card.show(app.workOf(card.id)); app.nameDocument(); } };
      app.need(['text', 'near'], [work.id], again);
      root.hidden = false;
      document.body.classList.add('card-open');
      byId('card-name').textContent = m.nameOf(work);
      byId('card-path').textContent = m.pathOf(work);
      byId('card-artist').textContent = m.artistOf(work);
      const page = m.linkOf(work);
      byId('card-page').hidden = !page;
      if (page) byId('card-page').setAttribute('href', page);
      else byId('card-page').removeAttribute('href');
      const added = new Date(work.added_ms);
      const known = !Number.isNaN(added.getTime());
      byId('card-added').textContent = known ? m.formatAgo(work.added_ms, Date.now()) : '';
      byId('card-added').title = known ? added.toLocaleString(m.locale) : '';
      byId('card-size').textContent = m.formatBytes(work.size);
      byId('card-new').hidden = !m.isNew(work, Date.now()) || app.allNew;
      app.thumbs.show(crop, work.id, 360);
      showOriginal(m.originalOf(model, work), m.renditionOf(work), fresh);
      showLike(work, model, again);
      if (fresh) {
        byId('card-body').scrollTop = 0;
        root.classList.remove('lifted');
      }
    };

    card.hide = () => {
      if (root.hidden) return;
      root.hidden = true;
      root.style.transform = '';
      card.id = null;
      document.body.classList.remove('card-open');
      original.removeAttribute('src');
      app.thumbs.release(crop);
      for (const canvas of like.querySelectorAll('canvas')) app.thumbs.release(canvas);
      like.replaceChildren();
    };

    const sheet = () => matchMedia(m.SHEET).matches;

    /**
     * Window edges that are covered while the card is open: `{right}` where it is at the side; `{top, bottom}` above a sheet, where the
     * title and the tools take their share too.
     */
    card.covered = () => {
      if (root.hidden) return { left: 0, top: 0, right: 0, bottom: 0 };
      if (!sheet()) return { left: 0, top: 0, right: innerWidth - root.offsetLeft, bottom: 0 };
      return { left: 0, top: byId('top').getBoundingClientRect().bottom, right: 0, bottom: root.offsetHeight };
    };

    function showOriginal(url, rendition, fresh) {
      const shown = rendition ? rendition.file : url;
      const link = byId('card-link');
      if (url) link.setAttribute('href', url);
      else link.removeAttribute('href');
      link.hidden = !url;
      if (!fresh && original.getAttribute('src') === shown) return;
      original.classList.remove('here');
      original.removeAttribute('src');
      if (shown) original.src = shown;
    }
    // The crop stays under the picture until that is decoded; an original no browser shows (TIFF) never appears.
    original.addEventListener('load', () => original.classList.add('here'));
    original.addEventListener('error', () => original.classList.remove('here'));

    function showLike(work, model, again) {
      for (const canvas of like.querySelectorAll('canvas')) app.thumbs.release(canvas);
      const near = (work.neighbours || []).map((id) => model.works[model.byId.get(id)])
        .filter((other) => other && other.id !== work.id).slice(0, LIKE_THIS);
      app.need(['text'], near.map((other) => other.id), again);
      byId('card-like-head').hidden = !near.length;
      like.replaceChildren(...near.map((other) => {
        const item = document.createElement('li');
        const button = document.createElement('button');
        const canvas = document.createElement('canvas');
        button.type = 'button';
        button.title = m.nameOf(other);
        button.setAttribute('aria-label', m.t('card.likeOne', { name: m.nameOf(other) }));
        button.addEventListener('click', () => app.open(other.id, { fly: true }));
        button.append(canvas);
        item.append(button);
        app.thumbs.show(canvas, other.id, 84);
        return item;
      }));
    }

    byId('card-close').addEventListener('click', () => app.close());
    byId('card-picture').addEventListener('click', () => app.large.open());
    byId('card-copy').addEventListener('click', async () => {
      // A work's own page is what messengers make a preview of; it opens the mosaic here.
      const own = app.model.manifest.work_pages && new URL(`w/${Math.floor(card.id / 1000)}/${card.id}.html`, m.pageAddress()).href;
      const url = own || `${m.pageAddress()}#work=${card.id}`;
      app.notify((await copy(url)) ? m.t('card.copied') : url);
    });

    // On a phone the sheet follows a finger downwards and closes when it is let go low enough.
    let grip = null;
    const handle = byId('card-head');
    handle.addEventListener('pointerdown', (event) => {
      if (event.target.closest('button, a') || !sheet()) return;
      grip = { y: event.clientY };
      handle.setPointerCapture(event.pointerId);
    });
    handle.addEventListener('pointermove', (event) => {
      if (grip) root.style.transform = `translateY(${Math.max(0, event.clientY - grip.y)}px)`;
    });
    const letGo = (event) => {
      if (!grip) return;
      const far = event.clientY - grip.y;
      grip = null;
      root.style.transform = '';
      if (far > 90) app.close();
    };
    handle.addEventListener('pointerup', letGo);
    handle.addEventListener('pointercancel', letGo);

    return card;
  };

  /** Puts text on the clipboard; works on plain http too, where the modern interface is missing. */
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const field = document.createElement('textarea');
      field.value = text;
      field.className = 'offscreen';
      document.body.append(field);
      field.select();
      const done = document.execCommand('copy');
      field.remove();
      return done;
    }
  }
})(window.mosaicd = window.mosaicd || {});
