"""One migration per version of the tables, in the order of `backburner.store.versions.KNOWN`."""
