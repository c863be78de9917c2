"""One file per subject; each has `router(...) -> APIRouter` over the engine it is given."""
