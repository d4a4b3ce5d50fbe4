//! Webhooks: the team's own service answers, does not answer, or answers badly.

use kefu_harness::shop::{Shop, ShopOptions, texts};
use kefu_harness::stack::Backend;
use kefu_harness::webhook::{Does, Service};

mod answers;
mod crashes;
mod examples;
mod media;
mod sync;
mod trouble;

/// What calls are signed with.
const SECRET: &str = "the secret of shop and kefu";

/// A shop whose texts go to `service`, with `more` in the webhook's table and in `[webhook]`.
fn options(backend: Backend, service: &Service, of_rule: &str, settings: &str) -> ShopOptions {
    let mut options = ShopOptions::new(backend);
    let url = service.url("/kefu?key=HUSH-HUSH-HUSH");
    options.rules = format!(
        "[[rule]]\nwhen = {{ event = \"user_enter_tempsession\" }}\nwebhook = {{ url = \"{url}\" }}\n\
         [[rule]]\nwhen = {{ type = \"text\", contains = \"rule\" }}\nreply = [{{ text = \"by a rule\" }}]\n\
         [[rule]]\nwhen = {{ type = \"text\" }}\nwebhook = {{ url = \"{url}\"{of_rule} }}\n"
    );
    options.settings.push(("webhook", format!("secret = \"{SECRET}\"\n{settings}")));
    options
}

async fn start(backend: Backend, otherwise: Does, settings: &str) -> (Shop, Service) {
    let service = Service::start(otherwise).await;
    let shop = Shop::start(options(backend, &service, "", settings)).await;
    (shop, service)
}
