//! How a stand-in behaves: looked at, changed, made well again.

use std::fmt::Display;

use actix_web::{HttpResponse, Resource, web};
use serde::{Serialize, de::DeserializeOwned};

use super::{Problem, resource};

/// A stand-in whose behaviour can be changed.
pub(crate) trait Behaves: 'static {
    /// What can be changed.
    type Behaviour: Clone + Default + Serialize + DeserializeOwned + 'static;
    /// Why it can't be played.
    type Invalid: Display;
    /// How it behaves.
    fn behaviour(&self) -> Self::Behaviour;
    /// Behaves so from now on.
    fn behave(&self, behaviour: Self::Behaviour) -> Result<(), Self::Invalid>;
}

/// The control at that path, of what is mounted as `web::Data<S>`.
pub(crate) fn behaviour<S: Behaves>(path: &str) -> Resource {
    resource(path).route(web::get().to(get::<S>)).route(web::put().to(put::<S>)).route(web::delete().to(delete::<S>))
}

async fn get<S: Behaves>(stand_in: web::Data<S>) -> web::Json<S::Behaviour> {
    web::Json(stand_in.behaviour())
}

async fn put<S: Behaves>(
    stand_in: web::Data<S>,
    behaviour: web::Json<S::Behaviour>,
) -> Result<web::Json<S::Behaviour>, Problem> {
    let behaviour = behaviour.into_inner();
    stand_in.behave(behaviour.clone()).map_err(|error| Problem::invalid(error.to_string()))?;
    Ok(web::Json(behaviour))
}

async fn delete<S: Behaves>(stand_in: web::Data<S>) -> Result<HttpResponse, Problem> {
    stand_in.behave(S::Behaviour::default()).map_err(|error| Problem::invalid(error.to_string()))?;
    Ok(HttpResponse::NoContent().finish())
}
