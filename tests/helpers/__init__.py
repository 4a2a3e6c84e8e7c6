"""Components, cells and scenarios that several tests share."""
