//! Where tests run: one runtime, one shared stack, and turns for those that need the machine to themselves.

use super::{Options, Stack};
use std::{panic::AssertUnwindSafe, sync::OnceLock};
use tokio::{
    runtime::Runtime,
    sync::{OnceCell, RwLock},
};

static TURNS: RwLock<()> = RwLock::const_new(());

/// Runs a test. All tests share a runtime, since connections that they share live in it.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
    });
    runtime.block_on(test)
}

/// Runs a test on the stack that all of these share, and checks the invariants. What is unique to the test (patients,
/// doctors, keys) keeps it apart from the others.
pub fn on_shared(test: impl AsyncFnOnce(&Stack)) {
    static SHARED: OnceCell<Stack> = OnceCell::const_new();
    run(async {
        let _turn = TURNS.read().await;
        let stack = SHARED.get_or_init(async || Stack::start(Options::named("shared")).await).await;
        told(stack, test).await;
    });
}

/// Runs a test on a stack of its own, and checks the invariants.
pub fn on_stack(options: Options, test: impl AsyncFnOnce(&Stack)) {
    run(async {
        let alone = options.alone;
        let (_alone, _turn) = if alone { (Some(TURNS.write().await), None) } else { (None, Some(TURNS.read().await)) };
        let stack = Stack::start(options).await;
        // Of the shared one, with its many thousand requests, the table of routes asks itself.
        told(&stack, async |stack| {
            test(stack).await;
            stack.check_trail().await;
        })
        .await;
    });
}

async fn told(stack: &Stack, test: impl AsyncFnOnce(&Stack)) {
    let checked = async {
        test(stack).await;
        stack.check().await;
    };
    if let Err(panic) = futures::FutureExt::catch_unwind(AssertUnwindSafe(checked)).await {
        stack.print_tails();
        std::panic::resume_unwind(panic);
    }
}
