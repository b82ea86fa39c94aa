import adbc_driver_postgresql.dbapi as pg
import sqlalchemy as sa
def test_x(postgres_url):
    with pg.connect(postgres_url) as c, c.cursor() as k:
        k.execute("select 1 as a, 'x' as b, 1.50::numeric(10,2) as n, now() as t, date '2020-01-01' as d, '{\"a\":1}'::jsonb as j, gen_random_uuid() as u, array[1,2] as r, interval '1 day' as iv, 12::smallint as s, 1.5::real as f, true as bo, 'NaN'::numeric as nn")
        t=k.fetch_arrow_table(); print(t.schema); print(t.to_pylist())
    e = sa.create_engine(postgres_url)
    with e.connect() as c:
        assert c.execute(sa.text("select 1")).scalar()==1
    e.dispose()
