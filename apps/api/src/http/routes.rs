//! Which methods a path has: the routers match path and method at once, and so can't tell `404` from `405`.

use crate::problem::{Code, Problem};
use actix_web::dev::ResourceDef;
use utoipa::openapi::{OpenApi, PathItem};

/// The paths of the OpenAPI document with their methods.
#[derive(Debug)]
pub(crate) struct Routes(Vec<(ResourceDef, String)>);

impl Routes {
    /// Of a document.
    pub(crate) fn of(api: &OpenApi) -> Self {
        Self(
            api.paths
                .paths
                .iter()
                .map(|(path, item)| (ResourceDef::new(path.as_str()), methods(item).join(", ")))
                .collect(),
        )
    }

    /// What is to be said of a path that no route took.
    pub(crate) fn refuse(&self, path: &str) -> Problem {
        match self.0.iter().find(|(route, _)| route.is_match(path)) {
            Some((_, allow)) => Problem::method_not_allowed(allow.clone()),
            None => Code::NotFound.into(),
        }
    }
}

/// The names of the methods an item has. Whatever can be got can be asked for its head, too.
pub(crate) fn methods(item: &PathItem) -> Vec<&'static str> {
    let operations = [
        ("GET", &item.get),
        ("PUT", &item.put),
        ("POST", &item.post),
        ("DELETE", &item.delete),
        ("PATCH", &item.patch),
    ];
    let documented = operations.into_iter().filter(|(_, operation)| operation.is_some()).map(|(name, _)| name);
    documented.flat_map(|name| [Some(name), (name == "GET").then_some("HEAD")]).flatten().collect()
}
