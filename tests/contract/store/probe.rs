use kefu_store::Stores;

pub(super) async fn a_store_that_can_be_reached_says_so(stores: &Stores) {
    stores.probe.probe().await.unwrap();
}
