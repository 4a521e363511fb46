//! One file per verb.

mod destroy;
mod download;
mod erase;
mod hold;
mod make_export;
mod read_erasure;
mod read_export;
mod request_export;
mod shared;
mod sweep_exports;

pub use destroy::{DestroyDeps, destroy_due, handle_erasure};
pub use download::download;
pub use erase::{erase, erase_again};
pub use hold::{lift_hold, place_hold};
pub use make_export::{MakerDeps, make_export};
pub use read_erasure::read_erasure;
pub use read_export::{SeenExport, read_export};
pub use request_export::request_export;
pub use shared::{EraseDeps, ErasureDeps, ExportDeps};
pub use sweep_exports::sweep_exports;
