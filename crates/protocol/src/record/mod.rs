//! Record batches: views, iteration, building, and the formats of old.
