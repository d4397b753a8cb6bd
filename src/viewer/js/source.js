// Where generations come from: polls `latest`, and reads what it names when that changed: the page's own files (`parts.js`),
// or `manifest` where it names none (an output of version 0.1) and from disk.
//
// Over http(s) both are JSON, fetched with `no-cache` so that the browser revalidates by ETag (a poll costs a 304).
// From `file:` Chromium blocks fetch, so the publisher also writes `latest.js` and `manifest.js`, scripts that call
// `mosaicd.latest({...})` and `mosaicd.manifest({...})`. This file draws nothing and keeps no manifest.
(function (m) {
  'use strict';

  const POLL_MS = 5000;
  const SLOWEST_POLL_MS = 60000;

  const overFile = location.protocol === 'file:';

  /** Names one published state; a different key means there is something new to read. A page from disk reads no head. */
  m.keyOf = (published) => (!overFile && published.head) || `${published.generation}/${published.published_ms}`;

  /** Reads one of the two documents, or null where it does not exist. Rejects when the folder cannot be reached. */
  function read(name) {
    return overFile ? readScript(name) : readJson(name);
  }

  async function readJson(name) {
    const answer = await fetch(`${name}.json`, { cache: 'no-cache', credentials: 'same-origin' });
    if (answer.status === 404 || answer.status === 410) return null;
    if (!answer.ok) throw new Error(`${name}.json: HTTP ${answer.status}`);
    return answer.json();
  }

  function readScript(name) {
    return new Promise((resolve) => {
      const script = document.createElement('script');
      let said = null;
      m[name] = (document) => { said = document; };
      const end = () => { script.remove(); resolve(said); };
      script.onload = end;
      script.onerror = end; // A missing file and an unreadable one look the same from here.
      script.src = `${name}.js?${Date.now()}`;
      document.head.append(script);
    });
  }

  /**
   * Polls for ever and hands every new state to `onModel`, or its manifest to `onManifest`.
   *
   * `onTrouble(kind)` is called with 'missing' (nothing published yet), 'unreachable' or null (all well again).
   */
  m.createSource = function ({ parts, onModel, onManifest, onTrouble }) {
    let key = null;
    let failures = 0;
    let timer = 0;
    let busy = false;
    let again = false;

    async function look() {
      const latest = await read('latest');
      if (latest && m.keyOf(latest) === key) return onTrouble(null);
      if (latest && latest.head && !overFile) {
        onTrouble(null);
        await parts.follow(latest, onModel);
        key = m.keyOf(latest);
        return undefined;
      }
      // Without a `latest` the manifest itself is asked; over http an unchanged one costs a 304.
      const manifest = await read('manifest');
      if (!manifest) return onTrouble('missing');
      onTrouble(null);
      if (m.keyOf(manifest) === key) return undefined;
      key = m.keyOf(manifest);
      return onManifest(manifest);
    }

    async function poll() {
      if (busy) { again = true; return; }
      busy = true;
      clearTimeout(timer);
      try {
        await look();
        failures = 0;
      } catch (error) {
        failures += 1;
        if (failures > 1 || key === null) onTrouble('unreachable');
        console.warn('mosaicd:', error);
      }
      busy = false;
      if (again) { again = false; poll(); return; }
      timer = setTimeout(poll, Math.min(POLL_MS * 2 ** Math.max(0, failures - 2), SLOWEST_POLL_MS));
    }

    // A hidden page asks nothing; a page that is looked at again asks at once.
    document.addEventListener('visibilitychange', () => {
      clearTimeout(timer);
      if (!document.hidden) poll();
    });
    window.addEventListener('online', () => poll());

    return { poll };
  };
})(window.mosaicd = window.mosaicd || {});
