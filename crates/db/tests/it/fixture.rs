//! A small schema to play with.

use db::{Migrations, Sql};

/// One table and a counter.
pub(crate) const SHOP: Migrations = Migrations {
    schema: "shop",
    files: &[(
        "V0001__items",
        "CREATE TABLE shop.items (
            id bigint PRIMARY KEY,
            name text NOT NULL,
            note text,
            price_minor bigint NOT NULL DEFAULT 0 CONSTRAINT items_price_check CHECK (price_minor >= 0),
            made_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE UNIQUE INDEX items_name ON shop.items (name);
        CREATE TABLE shop.effects (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text NOT NULL);",
    )],
};

/// Another context.
pub(crate) const DEPOT: Migrations = Migrations {
    schema: "depot",
    files: &[(
        "V0001__shelves",
        "CREATE TABLE depot.shelves (id bigint PRIMARY KEY);",
    )],
};

pub(crate) const ADD_ITEM: Sql = Sql::new(
    "shop.insert_item",
    "INSERT INTO shop.items (id, name) VALUES ($1, $2)",
);
pub(crate) const COUNT_ITEMS: Sql = Sql::new("shop.count_items", "SELECT count(*) FROM shop.items");
pub(crate) const SLEEP: Sql = Sql::new("shop.sleep", "SELECT 1 FROM pg_sleep($1)");
