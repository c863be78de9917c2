"""How the schema came about, one numbered step after the other; run by `store.schema`, never edited after release."""
