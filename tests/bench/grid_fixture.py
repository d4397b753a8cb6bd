"""Prints the scores that src/grid/tests.rs compares with. usage: PYTHONPATH=DIR_OF_score_layout.py grid_fixture.py"""
import numpy as np
from score_layout import dpq
def lcg(n, s=12345):
    out=[]
    for _ in range(n):
        s=(s*1103515245+12345)%2**31; out.append(s)
    return np.array(out)
v=(lcg(60*5)//65536%1000/1000).astype(np.float32).reshape(60,5)
order=np.argsort(lcg(70,99),kind='stable')[:60]   # 60 of 70 cells, 10 columns
cells=np.stack([order%10,order//10],1)
print('scattered', f'{dpq(v,cells):.6f}')
rank=np.argsort(np.argsort(v[:,0],kind='stable')); print('by first feature', f'{dpq(v,np.stack([rank%10,rank//10],1)):.6f}')
