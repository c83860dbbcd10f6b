//! Work that recurses as deep as a schema nests runs on a stack of its own.

/// Enough for the deepest comparison and validator in a debug build. Only what is used is ever touched.
const STACK_BYTES: usize = 256 << 20;

/// Runs `work` on a large stack. `None` when there is no thread to be had, or when `work` panicked.
pub fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        thread.ok()?.join().ok()
    })
}
