//! Properties files, clock, shutdown token, byte sizes: no domain words.
