//! Futures that never wait.

/// Polls a future once: where the host waits inside of each call, it is ready by then.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("nothing of this guest is ever pending"),
    }
}
