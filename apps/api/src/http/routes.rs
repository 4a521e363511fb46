//! What the document says of paths. Which methods one has: the routers match path and method at once, and so can't tell `404`
//! from `405`. And in which class each operation is limited.

use super::CLASS_EXTENSION;
use crate::{
    problem::{Code, Problem},
    settings::RouteClass,
};
use actix_web::{dev::ResourceDef, http::Method};
use serde::Deserialize;
use std::collections::HashMap;
use utoipa::openapi::{OpenApi, PathItem, path::Operation};

/// The paths of the OpenAPI document with their methods.
#[derive(Debug)]
pub(crate) struct Routes {
    paths: Vec<(ResourceDef, String)>,
    classes: HashMap<String, Vec<(&'static str, RouteClass)>>,
}

impl Routes {
    /// Of a document.
    pub(crate) fn of(api: &OpenApi) -> Self {
        let paths = api.paths.paths.iter();
        let classes = paths.clone().map(|(path, item)| (path.clone(), classes(item)));
        Self {
            classes: classes.filter(|(_, classes)| !classes.is_empty()).collect(),
            paths: paths.map(|(path, item)| (ResourceDef::new(path.as_str()), methods(item).join(", "))).collect(),
        }
    }

    /// The class an operation has named.
    pub(crate) fn class(&self, method: &Method, pattern: &str) -> Option<RouteClass> {
        let named = self.classes.get(pattern)?.iter();
        named.filter(|(name, _)| *name == method.as_str()).map(|(_, class)| *class).next()
    }

    /// What is to be said of a path that no route took.
    pub(crate) fn refuse(&self, path: &str) -> Problem {
        match self.paths.iter().find(|(route, _)| route.is_match(path)) {
            Some((_, allow)) => Problem::method_not_allowed(allow.clone()),
            None => Code::NotFound.into(),
        }
    }
}

/// The names of the methods an item has. Whatever can be got can be asked for its head, too.
pub(crate) fn methods(item: &PathItem) -> Vec<&'static str> {
    with_head(operations(item).map(|(name, _)| (name, ()))).map(|(name, ())| name).collect()
}

fn with_head<T: Copy>(operations: impl Iterator<Item = (&'static str, T)>) -> impl Iterator<Item = (&'static str, T)> {
    operations.flat_map(|(name, of)| [Some((name, of)), (name == "GET").then_some(("HEAD", of))]).flatten()
}

fn classes(item: &PathItem) -> Vec<(&'static str, RouteClass)> {
    let class = |operation: &Operation| {
        let named = operation.extensions.as_ref()?.get(CLASS_EXTENSION)?;
        RouteClass::deserialize(named).ok()
    };
    with_head(operations(item).filter_map(|(name, operation)| Some((name, class(operation)?)))).collect()
}

fn operations(item: &PathItem) -> impl Iterator<Item = (&'static str, &Operation)> {
    let operations = [
        ("GET", &item.get),
        ("PUT", &item.put),
        ("POST", &item.post),
        ("DELETE", &item.delete),
        ("PATCH", &item.patch),
    ];
    operations.into_iter().filter_map(|(name, operation)| Some((name, operation.as_ref()?)))
}
