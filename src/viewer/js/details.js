// What is known of works besides their places, loaded when somebody looks at them.
(function (m) {
  'use strict';

  /** Gives `app` its `known` and `need`. */
  m.attachDetails = function (app) {
    const partsOf = () => app.model && app.model.manifest.parts;

    /** Whether `kinds` ('text', 'near', 'facet') are here for works `ids`; null: for all. */
    app.known = (kinds, ids = null) => !partsOf() || partsOf().has(kinds, ids);

    /**
     * Calls `then` once they are here, and says whether they are already: then `then` is not called. Where they cannot be had the
     * next generation may bring them.
     */
    app.need = (kinds, ids, then) => {
      if (app.known(kinds, ids)) return true;
      partsOf().need(kinds, ids).then(() => { if (app.known(kinds, ids)) then(); })
        .catch((error) => { console.warn('mosaicd:', error); app.source.poll(); });
      return false;
    };

    /** The work of a number as it is now. */
    app.workOf = (id) => app.model && app.model.works[app.model.byId.get(id)];
  };
})(window.mosaicd = window.mosaicd || {});
