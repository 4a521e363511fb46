//! The worker's internal listener: alive, ready, metrics.

use crate::worker::World;
use actix_web::{App, HttpResponse, HttpServer, web};
use amrutam_rabbitmq::Health;
use amrutam_telemetry::Telemetry;
use serde_json::json;
use std::{net::TcpListener, time::Duration};
use tokio_util::sync::CancellationToken;

struct Shared {
    world: World,
    consumers: Health,
    telemetry: Telemetry,
    stop: CancellationToken,
}

pub(crate) async fn serve(
    listener: TcpListener,
    world: World,
    consumers: Health,
    telemetry: Telemetry,
    stop: CancellationToken,
) {
    let shared = web::Data::new(Shared { world, consumers, telemetry, stop: stop.clone() });
    let app = move || {
        App::new()
            .app_data(shared.clone())
            .route("/healthz", web::get().to(async || HttpResponse::Ok().json(json!({ "status": "alive" }))))
            .route("/readyz", web::get().to(ready))
            .route("/metrics", web::get().to(metrics))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .shutdown_timeout(2)
        .client_request_timeout(Duration::from_secs(5))
        .listen(listener);
    match server {
        Ok(server) => {
            let server = server.run();
            let handle = server.handle();
            let end = async {
                stop.cancelled().await;
                handle.stop(true).await;
            };
            let (result, ()) = futures::join!(server, end);
            if let Err(error) = result {
                tracing::error!(%error, "the internal listener failed");
            }
        }
        Err(error) => {
            tracing::error!(%error, "the internal listener could not start");
            stop.cancelled().await;
        }
    }
}

/// Ready while it can do its main job: with the database. Without the broker, or while a consumer is not
/// consuming, it is degraded: the outbox or a queue grows.
async fn ready(shared: web::Data<Shared>) -> HttpResponse {
    let database = shared.world.postgres.ping(Duration::from_millis(500)).await.is_ok();
    let broker = shared.world.publisher.health();
    let consumers = shared.consumers.all_consuming();
    let state = |up| if up { "up" } else { "down" };
    let body = json!({
        "status": if shared.stop.is_cancelled() || !database { "unavailable" } else if broker && consumers { "ready" } else { "degraded" },
        "dependencies": [
            { "name": "database", "state": state(database), "required": true },
            { "name": "broker", "state": state(broker), "required": false },
            { "name": "consumers", "state": state(consumers), "required": false },
        ],
    });
    if database && !shared.stop.is_cancelled() {
        HttpResponse::Ok().json(body)
    } else {
        HttpResponse::ServiceUnavailable().insert_header(("Retry-After", "1")).json(body)
    }
}

async fn metrics(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(shared.telemetry.render())
}
