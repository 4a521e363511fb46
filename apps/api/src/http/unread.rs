//! Request bodies that are answered before they are read.
//!
//! Actix reads the rest of a dropped chunked body, without a bound in time: a caller who never ends it would keep its
//! connection for ever. While the body's handle lives, actix closes the connection after the answer instead.

use actix_web::{
    HttpMessage, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Payload, ServiceRequest},
    error::PayloadError,
    web::Bytes,
};
use futures::Stream;
use std::{
    cell::RefCell,
    error::Error,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

/// A request's body, kept until its answer is sent.
#[derive(Clone)]
pub(crate) struct Unread(Rc<RefCell<Payload>>);

impl Unread {
    /// Takes the body and leaves a way to read it. Nothing when there is none.
    pub(crate) fn share(request: &mut ServiceRequest) -> Option<Self> {
        let payload = request.take_payload();
        if matches!(payload, Payload::None) {
            return None;
        }
        let shared = Self(Rc::new(RefCell::new(payload)));
        request.set_payload(Payload::Stream { payload: Box::pin(shared.clone()) });
        Some(shared)
    }

    /// The answer, which keeps the body as long as it is being sent.
    pub(crate) fn hold(this: Option<&Self>, response: HttpResponse) -> HttpResponse {
        match this {
            Some(unread) => response.map_body(|_, body| unread.keep(body)),
            None => response,
        }
    }

    fn keep(&self, body: BoxBody) -> BoxBody {
        BoxBody::new(Keeping { body, _unread: self.clone() })
    }
}

impl Stream for Unread {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(cx)
    }
}

struct Keeping {
    body: BoxBody,
    _unread: Unread,
}

impl MessageBody for Keeping {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
