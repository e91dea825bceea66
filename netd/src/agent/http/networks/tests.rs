use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use kernel::testing::in_new_host;

use super::*;
use crate::agent::networks::{follow, open_or_try_again};
use crate::agent::standing::Standing;
use crate::config::options::Options;
use crate::registry::Claims;

/// Asks; gives the status and the body.
async fn ask(router: &Router, method: Method, path: &str, body: &str) -> (u16, String) {
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let answer = TowerToHyperService::new(router.clone()).call(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn on_host(test: impl AsyncFnOnce(Router) + Send) {
    in_new_host(|| {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let hour = Duration::from_secs(3600);
            let registry = Registry::open(
                dir.path(),
                dir.path(),
                dir.path(),
                vec![],
                Claims::default(),
                hour,
                None,
            )
            .await
            .unwrap();
            let (_tell, opened) = tokio::sync::watch::channel(Ok(registry));
            test(routes(opened)).await;
        });
    });
}

#[test]
fn a_network_may_have_a_word_of_a_path_as_its_name() {
    on_host(async |router| {
        for name in ["prune", "create", "networks"] {
            let request = format!("{{\"Name\": {name:?}}}");
            let (status, told) = ask(&router, Method::POST, "/v1/networks", &request).await;
            assert_eq!(status, 201, "{told}");
            let path = format!("/v1/networks/{name}");
            let (status, shown) = ask(&router, Method::GET, &path, "").await;
            assert_eq!(status, 200, "{shown}");
            assert!(shown.contains(&format!("\"Name\":{name:?}")), "{shown}");
            assert_eq!(ask(&router, Method::DELETE, &path, "").await.0, 204);
            let (status, told) = ask(&router, Method::GET, &path, "").await;
            assert_eq!(status, 404);
            assert_eq!(told, format!("{{\"message\":\"network {name} not found\"}}"));
        }
        let (status, told) = ask(&router, Method::POST, "/v1/networks/prune", "").await;
        assert_eq!((status, told.as_str()), (200, "{\"NetworksDeleted\":[]}"));
    });
}

#[test]
fn what_is_not_served_is_told_as_every_failure_is() {
    on_host(async |router| {
        for (method, path, status, says) in [
            (Method::PUT, "/v1/networks", 405, "method PUT is not served here"),
            (Method::POST, "/v1/networks/web", 405, "method POST is not served here"),
            (Method::GET, "/v1/networks/", 400, "a network is meant by nothing"),
            (Method::DELETE, "/v1/networks/", 400, "a network is meant by nothing"),
        ] {
            let (found, told) = ask(&router, method, path, "").await;
            assert_eq!(found, status, "{told}");
            assert!(told.starts_with("{\"message\":\"") && told.contains(says), "{told}");
        }
    });
}

#[test]
fn networks_that_cannot_be_opened_are_told_with_the_reason_and_served_once_they_can_be() {
    in_new_host(|| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(crate::registry::FILE);
        std::fs::create_dir(&file).unwrap();
        let options = Options { state_dir: dir.path().to_owned(), ..Options::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (opened, _again) = open_or_try_again(&options, &Claims::default(), None).await;
            let (standing, mut seen) = tokio::sync::watch::channel(Standing::default());
            let _follow = follow(&opened, &standing);
            let router = routes(opened);
            let (status, told) = ask(&router, Method::GET, "/v1/networks", "").await;
            assert_eq!(status, 500);
            let says = "{\"message\":\"serve the networks of this host: open the networks";
            assert!(told.starts_with(says) && told.contains("networks.redb"), "{told}");
            let patience = Duration::from_secs(30);
            let noted = seen.wait_for(|standing| standing.networks.trouble.is_some());
            tokio::time::timeout(patience, noted).await.unwrap().unwrap();

            std::fs::remove_dir(&file).unwrap();
            let right = seen.wait_for(|standing| standing.networks.trouble.is_none());
            tokio::time::timeout(patience, right).await.unwrap().unwrap();
            assert_eq!(ask(&router, Method::GET, "/v1/networks", "").await.0, 200);
        });
    });
}
