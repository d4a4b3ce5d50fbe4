//! A callback that answers as it is told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};

/// What the callback does with a request.
#[derive(Clone)]
pub(crate) enum Reaction {
    Answer(u16, String),
    /// The parameter `echostr`.
    Echo,
    /// No answer ever.
    Silence,
}

#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) query: HashMap<String, String>,
    pub(crate) body: String,
    pub(crate) content_type: String,
}

struct State {
    script: VecDeque<Reaction>,
    seen: Vec<Seen>,
}

pub(crate) struct Callback {
    state: Arc<Mutex<State>>,
    pub(crate) url: String,
    server: ServerHandle,
}

pub(crate) fn success() -> Reaction {
    Reaction::Answer(200, "success".to_owned())
}

impl Callback {
    /// Follows the script; its last reaction stays for all further requests.
    pub(crate) fn start(script: impl IntoIterator<Item = Reaction>) -> Self {
        let state = Arc::new(Mutex::new(State { script: script.into_iter().collect(), seen: Vec::new() }));
        let data = Data::from(Arc::clone(&state));
        let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(answer)))
            .workers(1)
            .disable_signals()
            .bind("127.0.0.1:0")
            .unwrap();
        let url = format!("http://{}/push/wx", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { state, url, server: handle }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn answer(state: Data<Mutex<State>>, request: actix_web::HttpRequest, body: String) -> HttpResponse {
    let query = web::Query::<HashMap<String, String>>::from_query(request.query_string()).unwrap().into_inner();
    let header = |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let reaction = {
        let mut state = state.lock().unwrap();
        state.seen.push(Seen { query: query.clone(), body, content_type: header("Content-Type") });
        match state.script.len() {
            0 | 1 => state.script.front().cloned().unwrap_or_else(success),
            _ => state.script.pop_front().unwrap(),
        }
    };
    match reaction {
        Reaction::Answer(status, body) => HttpResponse::build(StatusCode::from_u16(status).unwrap()).body(body),
        Reaction::Echo => HttpResponse::Ok().body(query["echostr"].clone()),
        Reaction::Silence => std::future::pending().await,
    }
}
