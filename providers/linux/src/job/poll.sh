# Says how a job stands, after waiting up to WAIT seconds for its end.
sign_of_life
where
judge
await
report
