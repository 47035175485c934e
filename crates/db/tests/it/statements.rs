use db::{FromRow, Sql};
use jiff::Timestamp;
use jiff::civil::Date;
use kernel::{ErrorKind, Failure, UserId};
use testkit::{TestDb, prepare_all};

use crate::fixture::{ADD_ITEM, COUNT_ITEMS, SHOP};

#[derive(Debug, PartialEq, FromRow)]
struct Item {
    id: UserId,
    name: String,
    #[row(name = "note")]
    remark: Option<String>,
}

#[derive(Debug, PartialEq, Clone, Copy)]
struct Even(i64);

impl TryFrom<i64> for Even {
    type Error = String;
    fn try_from(raw: i64) -> Result<Self, String> {
        if raw % 2 == 0 {
            Ok(Even(raw))
        } else {
            Err(format!("{raw} is odd"))
        }
    }
}

#[derive(Debug, FromRow)]
struct Priced {
    #[row(via = "i64")]
    price_minor: Even,
}

const FIND_ITEM: Sql = Sql::new(
    "shop.find_item",
    "SELECT id, name, note FROM shop.items WHERE id = $1",
)
.returning::<Item>();
const LIST_ITEMS: Sql = Sql::new(
    "shop.list_items",
    "SELECT id, name, note FROM shop.items ORDER BY id",
)
.returning::<Item>();
const FIND_PRICE: Sql = Sql::new(
    "shop.find_price",
    "SELECT price_minor FROM shop.items WHERE id = $1",
)
.returning::<Priced>();
const SET_PRICE: Sql = Sql::new(
    "shop.set_price",
    "UPDATE shop.items SET price_minor = $2 WHERE id = $1",
);

static ALL: &[&Sql] = &[
    &FIND_ITEM,
    &LIST_ITEMS,
    &FIND_PRICE,
    &SET_PRICE,
    &ADD_ITEM,
    &COUNT_ITEMS,
];

#[tokio::test]
async fn rows_become_structs_by_column_name() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    let (one, two) = (UserId::new(1), UserId::new(2));
    assert_eq!(
        ADD_ITEM.bind(&one).bind(&"çay").execute(&db).await.unwrap(),
        1
    );
    ADD_ITEM
        .bind(&two)
        .bind(&"su".to_owned())
        .execute(&db)
        .await
        .unwrap();
    let tea = Item {
        id: one,
        name: "çay".into(),
        remark: None,
    };
    assert_eq!(FIND_ITEM.bind(&one).one::<Item>(&db).await.unwrap(), tea);
    assert_eq!(
        FIND_ITEM.bind(&3_i64).optional::<Item>(&db).await.unwrap(),
        None
    );
    assert_eq!(LIST_ITEMS.all::<Item>(&db).await.unwrap().len(), 2);
    assert_eq!(COUNT_ITEMS.scalar::<i64>(&db).await.unwrap(), 2);
    let error = FIND_ITEM.bind(&3_i64).one::<Item>(&db).await.unwrap_err();
    assert!(
        matches!(error, db::Error::NotOne { found: 0, .. }),
        "{error}"
    );
    let error = LIST_ITEMS.optional::<Item>(&db).await.unwrap_err();
    assert!(
        matches!(error, db::Error::NotOne { found: 2, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn every_kind_of_value_makes_the_round_trip() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    async fn trip<V>(db: &db::Db, sql: Sql, value: V)
    where
        V: db::Value + db::postgres_types::FromSqlOwned + PartialEq + std::fmt::Debug,
    {
        assert_eq!(sql.bind(&value).scalar::<V>(db).await.unwrap(), value);
    }
    let echo = Sql::new("test.echo", "SELECT $1");
    trip(&db, echo, true).await;
    trip(&db, echo, i16::MIN).await;
    trip(&db, echo, i32::MAX).await;
    trip(&db, echo, i64::MIN).await;
    trip(&db, echo, 0.5_f64).await;
    trip(&db, echo, "ığdır\u{10FFFF}".to_owned()).await;
    trip(&db, echo, vec![0_u8, 255]).await;
    trip(
        &db,
        echo,
        "2026-11-20T07:00:00.123456Z".parse::<Timestamp>().unwrap(),
    )
    .await;
    trip(&db, echo, "2028-02-29".parse::<Date>().unwrap()).await;
    trip(&db, echo, serde_json::json!({"a": [1, null]})).await;
    trip(&db, echo, UserId::new(i64::MAX)).await;
    trip(&db, echo, Option::<i64>::None).await;
    trip(&db, echo, vec![UserId::new(1), UserId::new(2)]).await;
    trip(&db, echo, vec![Some("a".to_owned()), None]).await;
    trip(&db, echo, Vec::<i64>::new()).await;
    let ids: &[i64] = &[3, 1, 2];
    let sorted: Vec<i64> = Sql::new("test.unnest", "SELECT n FROM unnest($1) AS n ORDER BY n")
        .bind(&ids)
        .scalars(&db)
        .await
        .unwrap();
    assert_eq!(sorted, [1, 2, 3]);
}

#[tokio::test]
async fn a_value_that_does_not_convert_is_an_error_with_the_column() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    ADD_ITEM.bind(&1_i64).bind(&"a").execute(&db).await.unwrap();
    SET_PRICE
        .bind(&1_i64)
        .bind(&4_i64)
        .execute(&db)
        .await
        .unwrap();
    assert_eq!(
        FIND_PRICE
            .bind(&1_i64)
            .one::<Priced>(&db)
            .await
            .unwrap()
            .price_minor,
        Even(4)
    );
    SET_PRICE
        .bind(&1_i64)
        .bind(&5_i64)
        .execute(&db)
        .await
        .unwrap();
    let error = FIND_PRICE
        .bind(&1_i64)
        .one::<Priced>(&db)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            db::Error::Column {
                column: "price_minor",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn constraints_are_named_and_other_faults_are_internal() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    ADD_ITEM.bind(&1_i64).bind(&"a").execute(&db).await.unwrap();
    let twice = ADD_ITEM
        .bind(&2_i64)
        .bind(&"a")
        .execute(&db)
        .await
        .unwrap_err();
    assert_eq!(twice.constraint(), Some("items_name"));
    let negative = SET_PRICE
        .bind(&1_i64)
        .bind(&-1_i64)
        .execute(&db)
        .await
        .unwrap_err();
    assert_eq!(negative.constraint(), Some("items_price_check"));
    let null = ADD_ITEM
        .bind(&3_i64)
        .bind(&Option::<String>::None)
        .execute(&db)
        .await
        .unwrap_err();
    assert_eq!(null.constraint(), Some("name"));
    let broken = Sql::new("shop.broken", "SELECT nothing FROM nowhere")
        .execute(&db)
        .await
        .unwrap_err();
    assert_eq!(broken.constraint(), None);
    let failure = Failure::from(broken);
    assert_eq!(failure.row.kind, ErrorKind::Internal);
    assert!(!failure.row.en.contains("nowhere") && failure.to_string().contains("nowhere"));
}

#[tokio::test]
async fn statements_of_a_crate_are_checked_against_the_server() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    prepare_all(&t, ALL).await.unwrap();
}

#[tokio::test]
async fn the_check_finds_wrong_statements() {
    t_script(&[
        (Sql::new("shop.a", "SELEKT 1"), "syntax error"),
        (
            Sql::new("shop.b", "SELECT id FROM shop.items").returning::<Item>(),
            "column name is missing",
        ),
        (
            Sql::new(
                "shop.c",
                "SELECT id, name, note, price_minor FROM shop.items",
            )
            .returning::<Item>(),
            "column price_minor is read by nobody",
        ),
        (
            Sql::new("shop.d", "SELECT id::text, name, note FROM shop.items").returning::<Item>(),
            "column id is text, the struct reads int8",
        ),
        (
            Sql::new("shop.e", "SELECT 'x'::shop.mood AS m"),
            "has type shop.mood",
        ),
        (
            Sql::new("shop.f", "SELECT i FROM shop.items AS i"),
            "has type shop.items",
        ),
    ])
    .await;
}

async fn t_script(cases: &[(Sql, &str)]) {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    t.script("CREATE TYPE shop.mood AS ENUM ('x');")
        .await
        .unwrap();
    for (sql, expected) in cases {
        let found = db::prepare::check(&t.app_settings("shop").unwrap(), &[sql])
            .await
            .unwrap();
        assert!(
            found.iter().any(|line| line.contains(expected)),
            "{expected}: {found:?}"
        );
    }
    let (one, same) = (
        Sql::new("shop.same", "SELECT 1"),
        Sql::new("shop.same", "SELECT 2"),
    );
    let found = db::prepare::check(&t.app_settings("shop").unwrap(), &[&one, &same])
        .await
        .unwrap();
    assert_eq!(found, ["shop.same: two statements have this name"]);
}
